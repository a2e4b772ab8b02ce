"""The product's own tables: written, read back, and pruned.

Its face: `publish_forecast`.
"""
