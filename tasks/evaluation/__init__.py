"""Published forecasts against what came true: scores, hindcasts, backtests.

Its face: `score`, `backtest`.
"""
