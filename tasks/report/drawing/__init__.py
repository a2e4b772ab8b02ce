"""Plots as SVG: scales, ticks and marks, without a library that takes longer to import than a page to draw.

Its face: `Axes`, `svg_of`.
"""
