"""The pages over all nights of a job, and over all jobs of a folder of reports.

Its face: `write_home`.
"""
