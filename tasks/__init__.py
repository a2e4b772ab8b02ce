"""The steps of a night: each reads, calls `models` or `sql`, and returns a reference."""
