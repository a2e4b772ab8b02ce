"""Is it worse than usual?.

Its face: `verdict_on`.
"""
