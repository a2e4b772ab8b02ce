"""What a Prefect server adds to a night."""
