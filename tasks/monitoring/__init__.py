"""Alerts: opened, closed, told to people, and answered by them.

Its face: `watch`, `notify`.
"""
