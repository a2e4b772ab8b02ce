"""The files that steps hand each other, and where everything of a job lies.

Its face: `Places`.
"""
