"""Find, read and check a job file; `tasks/night/job.py` defines its keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.job.problems import abbreviate, problems_of
from sql.secrets.known import hide
from sql.secrets.places import remember_document
from tasks.night.job import Job
from tasks.store.places import Places
from tasks.yaml_file import YamlError, kind_of, read_yaml

SCHEDULES = "schedules.yaml"
"""The file of a jobs folder that says when its jobs run, and is no job itself."""
# Names of jobs, in a message.
_MOST_NAMED = 5


class JobError(ValueError):
    """The job file cannot be used; the message says where and what to write instead, and repeats no secret."""

    def __init__(self, message: str) -> None:
        super().__init__(hide(message))


@dataclass(frozen=True)
class LoadedJob:
    """A job and the file that it was read from."""

    job: Job
    path: Path

    @property
    def base(self) -> Path:
        """Folder of the job file; the job's relative paths start there."""
        return self.path.parent

    @property
    def places(self) -> Places:
        """Where everything of the job lies."""
        return Places(self.job.name, self.base, self.job.output)


def load_job(path_or_name: str | Path, changes: Mapping[str, Mapping[str, Any]] | None = None) -> LoadedJob:
    """Read a job from its file, or by its name from the jobs folder.

    Args:
        path_or_name: The file, or its name without the ending.
        changes: Settings that replace those of the file, such as `{"forecast": {"horizon": 7}}`.

    Raises:
        JobError: no such file, not YAML, larger or deeper than a job is, an unknown key (with the nearest known one),
            a value out of range.
    """
    path = find_job(path_or_name)
    try:
        document = read_yaml(path)
    except YamlError as error:
        raise JobError(str(error)) from None
    remember_document(document)
    if not isinstance(document, dict):
        found = "is empty" if document is None else f"holds no mapping, but {abbreviate(document)}"
        raise JobError(f"{path} {found}. Write `name: ...`, `source: ...` and so on.")
    for part, settings in (changes or {}).items():
        # The validation reports a part that is no mapping.
        if isinstance(document.get(part, {}), dict):
            document[part] = {**document.get(part, {}), **settings}
    try:
        return LoadedJob(Job.model_validate(document), path)
    except ValidationError:
        raise JobError(f"{path}: " + "\n  ".join(problems_of(document))) from None


def find_job(path_or_name: str | Path) -> Path:
    """The file of a job given as a path, or as a name in the jobs folder.

    Raises:
        JobError: there is neither; names the jobs that exist.
    """
    given = Path(path_or_name)
    return given.resolve() if os.path.isfile(given) else find_named_job(str(path_or_name))


def find_named_job(name: str) -> Path:
    """The file of a job given by its name in the jobs folder; a path is not a name.

    Raises:
        JobError: there is no such job; names the jobs that exist.
    """
    known = jobs_by_name()
    if name in known:
        return known[name].resolve()
    folder, shown = jobs_folder().resolve(), abbreviate(name)
    contents = f"has {', '.join([*known][:_MOST_NAMED])}" if known else "has no job"
    if os.path.isfile(name):
        raise JobError(
            f"{shown} is a path, and a deployment takes names: the jobs folder {folder} {contents}. "
            "Pick one, or put the file there and deploy again."
        )
    raise JobError(
        f"No job {shown}: {_why_no_file(name)}, and the jobs folder {folder} {contents}. "
        "Give a path to a YAML file, or set NIGHTCAST_JOBS to the folder of your jobs."
    )


def _why_no_file(name: str) -> str:
    try:
        return f"that is {kind_of(Path(name))}, not a file"
    except FileNotFoundError:
        return "that is a link to a file that does not exist" if os.path.islink(name) else "no such file"
    except OSError as error:
        return f"that file cannot be read ({error.strerror or error})"
    except ValueError:  # a NUL in the name
        return "no such file"


def jobs_by_name() -> dict[str, Path]:
    """The files of the jobs folder, by the names of their jobs."""
    # Of two files that differ only in their ending, the .yaml file is the job.
    try:
        files = sorted(jobs_folder().glob("*.y*ml"), key=lambda file: (file.stem, file.suffix == ".yaml"))
    except OSError:  # a name that is too long, for example
        files = []
    return {file.stem: file for file in files if file.suffix in (".yaml", ".yml") and file.name != SCHEDULES}


def jobs_folder() -> Path:
    """$NIGHTCAST_JOBS, else ./jobs, else ./demo, where `nightcast demo` puts its job."""
    if named := os.environ.get("NIGHTCAST_JOBS"):
        return Path(named)
    return next((folder for folder in (Path("jobs"), Path("demo")) if folder.is_dir()), Path("jobs"))
