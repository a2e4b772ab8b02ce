"""A published night forecast again: what moved its forecasts, and what they would be under other known-future values.

Its face: `forecast_again`, `explain_series`, `forecast_scenario`.
"""
