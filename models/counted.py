"""A number with its noun, as people write it."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or plural.

    Args:
        number: How many.
        noun: In the singular; its plural ends in s.

    >>> counted(1, "alert"), counted(2, "night"), counted(1200, "row")
    ('1 alert', '2 nights', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
