"""How far back a night that loads its model must read.

Its face: `plan_context`.
"""
