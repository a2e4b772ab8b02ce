"""A bounded sample of the rows of a file or table, to see what they hold.

Its face: `sample_file`, `sample_table`.
"""
