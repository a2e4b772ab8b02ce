"""Reading history from a database or from files.

Its face: `observations`.
"""
