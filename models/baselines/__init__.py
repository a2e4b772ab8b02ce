"""Forecasts that need no network: the seasonal naive, the fallback, and methods to compare with.

Its face: `seasonal_naive`, `Fallback`.
"""
