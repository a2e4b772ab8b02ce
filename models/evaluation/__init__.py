"""Forecasts against actuals: live nights, hindcasts and backtests.

Its face: `PastNight`, `EvaluationLoss`.
"""
