"""What dashboards and planners read beside forecasts: the actuals.

Its face: `keep_actuals`.
"""
