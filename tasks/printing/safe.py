"""Texts and documents that may be printed, stored or sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sql.secrets.known import hide
from tasks.printing.visible import visible, visible_line


def safe_text(text: object) -> str:
    """A text of one or more lines without secrets, and with every character visible."""
    return visible(hide(str(text)))


def safe_line(text: object) -> str:
    """The same as one line."""
    return visible_line(hide(str(text)))


def safe_lines(lines: Iterable[object]) -> str:
    r"""Lines for people, of which each stays one line, whatever it holds.

    >>> print(safe_lines(["shop: a\nb", "done"]))
    shop: a\nb
    done
    """
    return "\n".join(map(safe_line, lines))


def quoted_answer(text: object, length: int = 200) -> str:
    """What a server answered: one line of at most `length` characters, without secrets.

    >>> quoted_answer("<h1>no</h1> " * 100, 24)
    '<h1>no</h1> <h1>no</h1> …'
    """
    # The whole of it may be as long as the server likes.
    words = " ".join(str(text)[: 50 * length].split())
    line = safe_line(words)
    return line if len(line) <= length else f"{line[:length]}…"


def without_secrets(document: Any) -> Any:
    """A document of mappings, lists and values, with each of its texts without secrets.

    Its keys are ours and stay, whatever a secret is.

    >>> without_secrets({"series": 45, "ids": ["a", 7]})
    {'series': 45, 'ids': ['a', 7]}
    """
    if isinstance(document, str):
        return hide(document)
    if isinstance(document, Mapping):
        return {key: without_secrets(value) for key, value in document.items()}
    if isinstance(document, list):
        return [without_secrets(each) for each in document]
    if isinstance(document, tuple) and type(document) is tuple:
        return tuple(without_secrets(each) for each in document)
    return document


def without_any_secrets(document: Any) -> Any:
    """The same for what somebody wrote, such as a job file with a URL as a key: its keys hold no secrets either."""
    if isinstance(document, Mapping):
        return {without_any_secrets(key): without_any_secrets(value) for key, value in document.items()}
    if isinstance(document, list):
        return [without_any_secrets(each) for each in document]
    return without_secrets(document)
