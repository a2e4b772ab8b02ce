"""Find, read and check a job file; `tasks/night/job.py` defines its keys."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flows.job.problems import problems_of
from tasks.night.job import Job
from tasks.store.places import Places


class JobError(ValueError):
    """The job file cannot be used; the message says where and what to write instead."""


class _OneKeyOnce(yaml.SafeLoader):
    """A reader of YAML that refuses a key written twice, of which the other one would win in silence."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            # `<<` takes over the keys of another mapping, and may stand there for several.
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    problem = f"the key {key.value!r} stands in line {lines[name]} and again in line {line}; keep one"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                lines[name] = line
        return node


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
        JobError: no such file, not YAML, an unknown key (with the nearest known one), a value out of range.
    """
    path = find_job(path_or_name)
    try:
        document = _OneKeyOnce(path.read_text(encoding="utf-8")).get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise JobError(f"{path}{place}: not YAML: {problem}. Correct that line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path} cannot be read: {error}. Give the path of a job's YAML file.") from None
    if not isinstance(document, dict):
        raise JobError(f"{path} holds no mapping, but {document!r:.40}. Write `name: ...`, `source: ...` and so on.")
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
    return given.resolve() if given.is_file() else find_named_job(str(path_or_name))


def find_named_job(name: str) -> Path:
    """The file of a job given by its name in the jobs folder; a path is not a name.

    Raises:
        JobError: there is no such job; names the jobs that exist.
    """
    known = jobs_by_name()
    if name in known:
        return known[name].resolve()
    folder = jobs_folder().resolve()
    contents = f"has {', '.join([*known][:5])}" if known else "has no job"
    if Path(name).is_file():
        raise JobError(
            f"{name!r} is a path, and a deployment takes names: the jobs folder {folder} {contents}. "
            "Pick one, or put the file there and deploy again."
        )
    raise JobError(
        f"No job {name!r}: no such file, and the jobs folder {folder} {contents}. "
        "Give a path to a YAML file, or set NIGHTCAST_JOBS to the folder of your jobs."
    )


def jobs_by_name() -> dict[str, Path]:
    """The files of the jobs folder, by the names of their jobs."""
    # Of two files that differ only in their ending, the .yaml file is the job.
    files = sorted(jobs_folder().glob("*.y*ml"), key=lambda file: (file.stem, file.suffix == ".yaml"))
    return {file.stem: file for file in files if file.suffix in (".yaml", ".yml")}


def jobs_folder() -> Path:
    """$NIGHTCAST_JOBS, else ./jobs, else ./demo, where `nightcast demo` puts its job."""
    if named := os.environ.get("NIGHTCAST_JOBS"):
        return Path(named)
    return next((folder for folder in (Path("jobs"), Path("demo")) if folder.is_dir()), Path("jobs"))
