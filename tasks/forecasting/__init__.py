"""Forecast every series of a night, calibrate the quantiles, and add the aggregates.

Its face: `predict`.
"""
