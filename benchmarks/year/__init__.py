"""A simulated company's year of nights."""
