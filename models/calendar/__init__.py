"""Timestamps to grid positions, and what the calendar says of them.

Its face: `TimeGrid`.
"""
