"""What roles of PostgreSQL need and no more, as SQL scripts with the names filled in.

Its face: `script`.
"""
