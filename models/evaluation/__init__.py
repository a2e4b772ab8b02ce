"""Forecasts against actuals: live nights, hindcasts and backtests.

Its face: `PastNight`, `PointErrors`, `EvaluationLoss`, `hindcast`, `score_origins`.
"""
