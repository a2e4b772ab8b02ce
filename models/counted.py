"""A number with its noun, as people write it."""

from __future__ import annotations

import re

_SINGULAR = {
    "rows": "row", "steps": "step", "values": "value", "timestamps": "timestamp", "ids": "id",
    "categories": "category",
}  # fmt: skip
_VERBS = {" that are ": " that is ", " that differ ": " that differs ", " their series": " its series"}


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or plural.

    Args:
        number: How many.
        noun: In the singular; its plural ends in s.

    >>> counted(1, "alert"), counted(2, "night"), counted(1200, "row")
    ('1 alert', '2 nights', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def in_number(kind: str, number: int) -> str:
    """What an audit found, in the singular where it found one.

    Args:
        kind: In the plural, as of `Finding`.
        number: How many.

    >>> in_number("steps without a row", 2), in_number("steps without a row", 1)
    ('steps without a row', 'step without a row')
    >>> in_number("timestamps with different values", 1), in_number("values that are text", 1)
    ('timestamp with different values', 'value that is text')
    """
    if number != 1:
        return kind
    # Only the first noun: the later ones, and names of columns, stay as they are.
    kind = re.sub(rf"\b({'|'.join(_SINGULAR)})\b", lambda noun: _SINGULAR[noun[0]], kind, count=1)
    for plural, singular in _VERBS.items():
        kind = kind.replace(plural, singular, 1)
    return kind
