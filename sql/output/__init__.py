"""The tables of a job: definitions, writes, reads, and the deletion of old nights.

Its face: `publish_forecast`.
"""
