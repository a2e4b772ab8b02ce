"""What can go wrong in the numbers, drawn once.

ValueError
└── InputError      the source holds something that nobody can forecast from: mend the input
Exception
└── ModelError      a model version is damaged, or training failed: mend the work
"""


class InputError(ValueError):
    """The input is not fit to forecast from; the message says what, where, found and remedy."""


class ModelError(Exception):
    """A model version cannot be used, or training failed; the message says why and what to do."""
