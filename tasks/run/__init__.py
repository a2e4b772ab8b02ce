"""The record of a run: its row, its lock, and the clearing up after a crash.

Its face: `begin_run`, `one_at_a_time`.
"""
