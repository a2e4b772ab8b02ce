"""Other processes and machines: where shards of series are forecast.

Its face: `connected`.
"""
