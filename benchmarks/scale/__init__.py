"""How the cost of a night grows with the number of series."""
