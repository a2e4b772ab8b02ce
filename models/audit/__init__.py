"""Rows to a panel, with an account of everything that was odd.

Its face: `build_panel`, `Audit`.
"""
