"""Accuracy on real series, beside the seasonal naive, published figures and other products."""
