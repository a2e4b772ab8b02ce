"""Migrates the tables of an output database to the newest version, from an empty database or an older version.

Its face: `migrate`.
"""
