"""Programs that run in the environment of the product that they measure.

A benchmark starts one as `python -m benchmarks.workers.NAME FOLDER`; `protocol` says what lies in the folder.
"""
