"""Files into a table.

Its face: `import_file`.
"""
