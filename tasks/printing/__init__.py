"""What may be printed, logged, stored or sent: texts without secrets, and without what a terminal obeys.

Its face: `safe_text`.
"""
