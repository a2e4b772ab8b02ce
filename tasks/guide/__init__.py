"""From a sample of somebody's own rows to a proposal for a job, and its file with comments.

Its face: `propose`, `job_text`.
"""
