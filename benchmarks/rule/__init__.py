"""How soon the alert rule finds a rise of the loss, and how often it is wrong."""
