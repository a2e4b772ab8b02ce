"""Numbers only: panels, the recurrent network, training, baselines, metrics, monitoring."""
