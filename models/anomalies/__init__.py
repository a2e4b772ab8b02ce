"""Actuals that lie where forecasts did not expect them, at the rate that a job asks for.

Its face: `tail_probability`, `PastTails`.
"""
