"""The HTML page of a night or of a backtest: what it says, how it is drawn, writing it.

Its face: `write_report`.
"""
