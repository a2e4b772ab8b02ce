"""`nightcast serve` and its neighbours: a Prefect server, pools, schedules, automations, doctor.

Its face: `serve`.
"""
