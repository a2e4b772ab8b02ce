"""The errors of `models/`.

ValueError
└── InputError          the input cannot be forecast from: correct the source or the job
Exception
└── ModelError          a model version cannot be used
    ├── DamagedVersion  a stored version is not the one that was stored, or cannot be read
    └── TrainingFailed  training gave no network: the night continues without it
"""


class InputError(ValueError):
    """The input cannot be forecast from. The message says what was found, where, and the remedy."""


class ModelError(Exception):
    """A model version cannot be used, or training failed. The message says why, and what to do."""


class DamagedVersion(ModelError):
    """A stored version cannot be read as it was stored; `found` says what is wrong with which file, and no remedy."""

    def __init__(self, message: str, found: str = "") -> None:
        super().__init__(message)
        self.found = found or message


class TrainingFailed(ModelError):
    """Training gave no network. The message says why, and what to do."""
