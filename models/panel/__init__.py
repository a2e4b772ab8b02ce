"""The shapes that everyone speaks in: a panel of series, a forecast, a summary of older history.

Its face: `Panel`, `Forecast`, `HistorySummary`.
"""
