"""What is known of a series at each step, from the past alone: level, scale, simple forecasts and how they erred.

Its face: `scale_panel`, `Candidates`, `WindowShape`.
"""
