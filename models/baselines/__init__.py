"""Forecasts without a network: the seasonal naive, the fallback, and statistical methods to compare with.

Its face: `seasonal_naive`, `Fallback`, `challenge`.
"""
