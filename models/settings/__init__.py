"""Settings of a job that `models/` obeys, one module for each part of the job file.

They stand apart from the code that obeys them because every wing reads them. Nothing here imports Keras. NumPy and
pandas come with `models/calendar`, which knows the frequencies, zones and holidays that a job may name.

Its face: `ForecastSettings` and its neighbours.
"""
