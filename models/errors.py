"""What can go wrong in the numbers, drawn once.

ValueError
└── InputError      the source holds something that nobody can forecast from: mend the input
Exception
└── ModelError      a model version is damaged: mend the work
    └── TrainingFailed  there is nothing to learn from, or the loss diverged: the night goes on without it
"""


class InputError(ValueError):
    """The input is not fit to forecast from; the message says what, where, found and remedy."""


class ModelError(Exception):
    """A model version cannot be used, or training failed; the message says why and what to do."""


class TrainingFailed(ModelError):
    """Nothing could be trained; the message says why and what to do."""
