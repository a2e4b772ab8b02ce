"""Other processes and machines that forecast shards of series.

Its face: `connected`, `check_runner`.
"""
