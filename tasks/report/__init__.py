"""The HTML pages of nights and backtests: what they contain, how plots are drawn, and how they are written.

Its face: `write_report`.
"""
