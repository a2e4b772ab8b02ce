"""The errors of storage.

ValueError
└── SourceError     the job file asks a database for something wrong: correct the job file or the source
    └── NoRows      the table or query gave no rows
Exception
└── StorageError    a database cannot be read or written: repair the machine, or wait
    ├── Unreachable  a database does not answer at all
    ├── StorageFull  its disk takes nothing more; trying again does not help
    └── NotPermitted the user of the URL may not do this: grant it the right; trying again does not help
"""

from typing import Literal

Passes = Literal["", "away", "locked"]
"""Why an error passes by itself: the database is away for now, or another session holds a lock; "" where it stays."""


class SourceError(ValueError):
    """A database, table, column or query is not as the job file says. The message holds the remedy."""


class NoRows(SourceError):
    """A table or query gave no rows, or none within the requested bounds."""


class StorageError(Exception):
    """A database refused what it was asked to do, and is unchanged.

    Attributes:
        passes: Why a later try may succeed; "" where it will not.
        url: The database, with its password; None where the error is of a file.
    """

    passes: Passes = ""
    url: object | None = None


class Unreachable(StorageError):
    """A database did not answer; `database` is its URL without the password."""

    def __init__(self, message: str, database: str = "") -> None:
        super().__init__(message)
        self.database = database


class StorageFull(StorageError):
    """The disk of a database takes nothing more, so that trying again does not help."""


class NotPermitted(StorageError):
    """The user of a database may not do what was asked, so that trying again does not help."""


def counted_rows(number: int) -> str:
    """A number of rows, for a message.

    >>> counted_rows(1), counted_rows(2)
    ('1 row', '2 rows')
    """
    return f"{number} {'row' if number == 1 else 'rows'}"
