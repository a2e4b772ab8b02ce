"""Statistical process control of a job's forecasts: whether they have become lastingly worse, and why.

Its face: `verdict_on`, `Verdict`, `diagnose`.
"""
