"""Packages that only some jobs need: each belongs to an extra of `pyproject.toml`, and is not installed by default."""

from __future__ import annotations

import importlib.util

from models.errors import InputError

# statsforecast and fugue ask for pandas below 3, though they work with 3 here: pip must not resolve what they need.
PIP = {
    "challengers": "pip install coreforecast statsmodels tqdm utilsforecast && "
    "pip install --no-deps adagio fugue statsforecast triad",
    "dask": "pip install distributed",
    "hierarchy": "pip install hierarchicalforecast",
}
"""For each extra, the command that installs its packages into any environment."""


def require_extra(package: str, sentence: str, extra: str, fallback: str) -> None:
    """Check that an optional package is installed.

    Args:
        package: The name under which it is imported.
        sentence: Who needs it, up to the words "not installed".
        extra: A key of `PIP`; also the name of a file in `requirements/`, without its ending.
        fallback: What else the reader can do, as the end of a sentence that begins with "or".

    Raises:
        InputError: the package is not installed; the message names the commands that install it.
    """
    if importlib.util.find_spec(package) is None:
        raise InputError(f"{sentence} not installed. {how_to_install(extra)}, or {fallback}.")


def how_to_install(extra: str) -> str:
    """How to install an extra, as a sentence without its full stop.

    >>> how_to_install("dask").partition(" (")[0]
    'Run `pip install distributed`'
    """
    locked = f".venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/{extra}.txt"
    return f"Run `{PIP[extra]}` (in a clone of the project: `{locked}`)"
