"""Packages that only some jobs need, each an extra with requirements of its own."""

from __future__ import annotations

import importlib.util

from models.errors import InputError


def require_extra(package: str, sentence: str, extra: str, instead: str) -> None:
    """See that a package is installed.

    Args:
        package: As it is imported.
        sentence: Who needs it, up to the words "not installed".
        extra: Its file in `requirements/`, without the ending.
        instead: What else to do.

    Raises:
        InputError: where it is not; names the remedy.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"{sentence} not installed. Install it with `.venv/bin/uv pip install --python .venv/bin/python "
            f"--require-hashes -r requirements/{extra}.txt`, or {instead}."
        )
