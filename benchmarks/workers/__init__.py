"""What runs in the environment of the product that it measures.

A benchmark starts a worker as `python -m benchmarks.workers.NAME FOLDER`.
"""
