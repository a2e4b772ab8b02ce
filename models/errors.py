"""The errors of `models/`.

ValueError
└── InputError          the input cannot be forecast from: correct the source or the job
Exception
└── ModelError          a model version cannot be used
    └── TrainingFailed  training gave no network: the night continues without it
"""


class InputError(ValueError):
    """The input cannot be forecast from. The message says what was found, where, and the remedy."""


class ModelError(Exception):
    """A model version cannot be used, or training failed. The message says why, and what to do."""


class TrainingFailed(ModelError):
    """Training gave no network. The message says why, and what to do."""
