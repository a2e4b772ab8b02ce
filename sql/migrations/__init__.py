"""Brings the tables of an output database to the newest version, from nothing or from an older one.

Its face: `migrate`.
"""
