"""Aggregates of series: which series add up to which, and their quantiles.

Its face: `Hierarchy`, `Levels`.
"""
