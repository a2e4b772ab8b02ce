"""Statistics of errors, and metrics made of them.

Its face: `evaluate_segments`, `Score`.
"""
