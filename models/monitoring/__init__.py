"""Statistical process control of a job's forecasts: whether they have got lastingly worse, and the likely cause.

Its face: `verdict_on`, `Verdict`, `diagnose`.
"""
