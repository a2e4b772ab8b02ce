"""The verbs of the command line.

Its face: `AnsweringGroup` and the verbs, such as `run` and `check`.
"""
