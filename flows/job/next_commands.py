"""The commands that come after a job file was written."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from flows.job.job import jobs_folder

_EVERY_NIGHT = "0 3 * * *"


def next_commands(name: str, file: Path) -> list[str]:
    """The commands for a job and its file, as a person types them in the current folder."""
    is_found = os.path.realpath(jobs_folder()) == os.path.realpath(file.parent)
    job = name if is_found else shlex.quote(os.path.relpath(file))
    folder = "" if is_found else f" --jobs {shlex.quote(os.path.relpath(file.parent))}"
    return [
        f"nightcast check {job}",
        f"nightcast run {job}",
        f"nightcast schedule {name} {shlex.quote(_EVERY_NIGHT)}{folder}",
        f"nightcast serve{folder}",
    ]
