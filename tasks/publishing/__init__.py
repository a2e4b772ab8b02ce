"""A night into SQL and Parquet, whole or not at all; and old nights out of them.

Its face: `publish`.
"""
