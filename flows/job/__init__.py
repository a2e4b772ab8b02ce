"""The job file: one YAML file is the whole job.

Its face: `Job`, `load_job`.
"""
