"""How much history a night must read.

Its face: `plan_reading`, `ReadPlan`.
"""
