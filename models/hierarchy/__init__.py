"""Aggregates of series: which series add up to which aggregates, and how aggregates are forecast.

Its face: `AggregationLevels`, `Hierarchy`, `AggregateForecast`.
"""
