"""What a page holds of each series, packed into one block, and the script that finds and draws a series there.

Its face: `pack_series`.
"""
