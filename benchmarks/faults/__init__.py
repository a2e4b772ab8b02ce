"""Nights that are broken on purpose, and what is left of them."""
