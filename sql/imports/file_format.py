"""What a user says about a file: how it is written, and what its columns hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from sql.errors import SourceError

Meaning = Literal["text", "number", "time"]
"""What a column holds, where its name or the user says so."""

_BY_NAME: dict[str, Meaning] = {"series_id": "text", "timestamp": "time", "value": "number"}


@dataclass(frozen=True)
class FileFormat:
    """What the file alone does not tell; an empty setting leaves it to the file.

    Attributes:
        text: Columns of ids and categories: text, to the letter.
        numbers: Columns of numbers, in which NA and the like mean missing.
        times: Columns of times.
        delimiter: What separates the columns of a CSV file.
        decimal: What begins the decimals, a point or a comma.
        date_format: How days are written, as for `datetime.strptime`, such as %d.%m.%Y. A clock may follow.
        wide: Whether the file has a column for each series, or for each day; False if it looks so, but has not.

    Raises:
        SourceError: where the delimiter is not one character.
    """

    text: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    date_format: str | None = None
    wide: bool | None = None

    def __post_init__(self) -> None:
        """Check the delimiter."""
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise SourceError(
                f"--delimiter {self.delimiter!r} is not a single character. Name one such as ';', or the word tab."
            )

    def meaning(self, name: str) -> Meaning | None:
        """What a column holds: what the user says, else what the names series_id, timestamp and value say.

        >>> FileFormat(numbers=("units",)).meaning("units")
        'number'
        """
        said: dict[str, Meaning] = dict.fromkeys(self.text, "text")
        said |= dict.fromkeys(self.numbers, "number")
        said |= dict.fromkeys(self.times, "time")
        return said.get(name, _BY_NAME.get(name))

    def check(self, columns: Iterable[str], where: str) -> None:
        """Check that the file has every column that the user names, and that none is named twice.

        Raises:
            SourceError: where it has not; names the columns of the file.
        """
        found, named = list(columns), [*self.text, *self.numbers, *self.times]
        unknown = [name for name in named if name not in found]
        if unknown:
            raise SourceError(f"{where} has no column {unknown[0]!r}. It has {found}. Name one of them.")
        twice = [name for name in named if named.count(name) > 1]
        if twice:
            raise SourceError(
                f"The column {twice[0]!r} is named twice by --text, --number and --time. Name it for one of them."
            )
