"""Whether the asked rate of anomalies is held, and how soon planted ones are found."""
