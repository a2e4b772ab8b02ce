"""Reading history from a database or from files.

Its face: `save_observations`.
"""
