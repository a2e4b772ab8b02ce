"""The audit of the input: it turns rows into a panel and reports every problem that it found in them.

Its face: `build_panel`, `Audit`, `Covariates`, `Finding`.
"""
