"""Aggregates of series: which series add up to which aggregates, and what is forecast of those.

Its face: `AggregationLevels`, `Hierarchy`, `AggregateForecast`.
"""
