"""Alerts: how they open and close, who gets a message, and how people answer.

Its face: `watch`, `notify`.
"""
