"""The order of a night, and what else can be done with a job: check, backtest, backfill, report, demo.

Its face: `NightRequest`, `night`, `run_here`.
"""
