"""Loads files into tables.

Its face: `import_file`.
"""
