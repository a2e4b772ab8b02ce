"""The data structures that all wings share: a panel of series, a forecast, a summary of older history.

Its face: `Panel`, `Forecast`, `HistorySummary`.
"""
