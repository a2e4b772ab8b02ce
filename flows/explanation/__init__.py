"""What people ask of a published night: why it is as it is, and what it would be under other known-future values.

Its face: `explain_job`, `imagine`.
"""
