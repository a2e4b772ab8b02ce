"""Calibration: quantiles moved by what past actuals say, so that intervals have the coverage that they claim.

Its face: `Calibration`, `Evidence`.
"""
