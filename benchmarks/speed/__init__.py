"""Seconds and rows a second of a night, and training and forecasting beside neuralforecast."""
