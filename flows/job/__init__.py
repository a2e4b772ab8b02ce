"""The job file: one YAML file is the whole job.

Its face: `load_job`, `LoadedJob`.
"""
