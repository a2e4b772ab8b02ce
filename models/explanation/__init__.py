"""Forecasts again from one cutoff with something changed: what moved a forecast, and what it would be otherwise.

Its face: `explain`, `Explanation`, `with_future`.
"""
