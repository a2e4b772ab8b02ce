"""Connections: URLs, engines, statements, bulk rows as Arrow, and locks.

Its face: `connect`.
"""
