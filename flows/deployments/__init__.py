"""The flows that `prefect.yaml` names, and their forms.

Its face: `nightly`.
"""
