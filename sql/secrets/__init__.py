"""What this process knows to be secret, and how it is taken out of texts.

Its face: `hide`.
"""
