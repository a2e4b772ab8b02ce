"""Connections: URLs, engines, statements, bulk rows as Arrow, and the lock.

Its face: `connect`.
"""
