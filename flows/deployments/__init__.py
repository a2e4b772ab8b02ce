"""The flows that `prefect.yaml` names, their forms, and the choice between a flow and plain functions.

Its face: `run_night`, `nightly`.
"""
