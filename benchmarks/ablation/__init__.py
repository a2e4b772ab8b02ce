"""What each part of the network gains."""
