"""What dashboards and planners read beside forecasts: the actuals, and scenarios.

Its face: `keep_actuals`, `replace_scenario`.
"""
