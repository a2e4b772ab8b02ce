"""The URL of a source as a job file has it: without a password, and relative to the job file where it can be."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from sql.engine.url import IN_FILES, describe, holds_password, resolve_url
from tasks.guide.proposal import GuideError

_MOST_STEPS_UP = 3


class JobUrl(NamedTuple):
    """The URL in the job file, and the variable of the environment that must hold the real one; None without."""

    text: str
    variable: str | None = None


def url_for_job(given: str, name: str, folder: Path) -> JobUrl:
    """The URL that somebody typed, for the job file of a name in a folder.

    Args:
        given: As `resolve_url` takes it; a relative path starts from the working directory.
        name: The job's name.
        folder: Of the job file.

    Raises:
        SourceError: where it is no URL.
    """
    if holds_password(given):
        variable = re.sub(r"\W", "_", name.upper()) + "_URL"
        # A variable does not begin with a digit.
        variable = variable if variable[0].isalpha() else f"JOB_{variable}"
        return JobUrl(f"${{{variable}}}", variable)
    resolved = resolve_url(given)
    backend = resolved.get_backend_name()
    if backend not in IN_FILES or resolve_url(given, folder).database == resolved.database:
        return JobUrl(given.strip())
    return JobUrl(url_of_path(backend, Path(str(resolved.database)), folder))


def url_of_path(backend: str, path: Path, folder: Path) -> str:
    """The URL of a file or folder, for a job file in a folder.

    Raises:
        GuideError: where the path holds characters that a URL cannot.
    """
    real, start = os.path.realpath(path), os.path.realpath(folder)
    relative = os.path.relpath(real, start)
    shown = real if relative.split(os.sep)[:_MOST_STEPS_UP] == [os.pardir] * _MOST_STEPS_UP else relative
    url = f"{backend}:///{shown}"
    found = resolve_url(url, Path(start))
    if "${" in url or found.database != real or found.query:
        raise GuideError(
            f"The path {real} holds characters that a URL cannot hold, as in {describe(found)}. Rename it to letters, "
            "digits, points and dashes."
        )
    return url
