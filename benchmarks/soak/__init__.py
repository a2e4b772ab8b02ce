"""Many nights in one process: what grows."""
