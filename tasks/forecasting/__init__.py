"""From a panel and a model version to a night of forecasts, a shard of series at a time.

Its face: `predict`.
"""
