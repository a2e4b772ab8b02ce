"""What dashboards and planners read beside forecasts: the actuals, the anomalies among them, and scenarios.

Its face: `keep_actuals`, `Judged`, `replace_scenario`.
"""
