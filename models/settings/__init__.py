"""What a job file may say about numbers: the parts of a job that `models/` obeys.

They stand apart from the code that obeys them, since every wing reads them: nothing here imports NumPy or Keras, and a
job file is read in milliseconds. Its face: `ForecastSettings` and its neighbours, one module for each part.
"""
