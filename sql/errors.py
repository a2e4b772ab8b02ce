"""What can go wrong in storage, drawn once.

ValueError
└── SourceError     what was asked of a database is wrong: mend the job file or the source
    └── NoRows      the table or query gave none
Exception
└── StorageError    a database cannot be read or written: mend the machine, or wait
    └── Unreachable a database does not answer at all
"""


class SourceError(ValueError):
    """A database, table, column or query is not what the job says; the message holds the remedy."""


class NoRows(SourceError):
    """A table or query gave no rows, at all or within the bounds that were asked for."""


class StorageError(Exception):
    """A database did not do what it was asked; nothing was changed in it."""


class Unreachable(StorageError):
    """A database did not answer; `database` is its URL without the password."""

    def __init__(self, message: str, database: str = "") -> None:
        super().__init__(message)
        self.database = database
