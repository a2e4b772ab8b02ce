"""Quantiles moved to where past actuals say that they lie, so that intervals cover.

Its face: `Calibration`, `Evidence`.
"""
