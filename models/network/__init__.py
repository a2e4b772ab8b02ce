"""The network as NumPy forecasts with it, and its plan; never Keras.

Its face: `Forecaster`, `Plan`.
"""
