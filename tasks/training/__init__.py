"""From a panel to a stored model version: decide, train in a process of its own, promote.

Its face: `decide`, `fit_model`.
"""
