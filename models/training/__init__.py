"""Training the network: the one wing that knows Keras.

Its face: `fit`.
"""
