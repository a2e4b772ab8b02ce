"""What can go wrong in storage, drawn once.

ValueError
└── SourceError     what was asked of a database is wrong: mend the job file or the source
Exception
└── StorageError    a database does not answer, or cannot be written: mend the machine, or wait
"""


class SourceError(ValueError):
    """A database, table, column or query is not what the job says; the message holds the remedy."""


class StorageError(Exception):
    """A database did not do what it was asked; nothing was changed in it."""
