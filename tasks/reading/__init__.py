"""From the source database to an audited panel.

Its face: `read_series`, `audit_input`.
"""
