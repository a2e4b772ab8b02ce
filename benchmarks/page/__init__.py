"""The page of a night in a real browser: its size, the time to write it, and the time to open it."""
