"""Published forecasts against the actuals that have arrived: scores, hindcasts, backtests.

Its face: `score`, `run_hindcast`, `backtest`.
"""
