"""Time grids: from timestamps to grid positions, and the calendar's features of each position.

Its face: `TimeGrid`.
"""
