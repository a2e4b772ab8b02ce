"""`nightcast serve` and its neighbours: a Prefect server, pools, automations, doctor.

Its face: `serve`.
"""
