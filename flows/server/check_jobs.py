"""Look at every job file before a server is started: what the files alone tell, without asking any database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flows.job.job import JobError, jobs_by_name, jobs_folder, load_job
from flows.job.problems import located_problems
from sql.engine.url import resolve_url
from sql.errors import SourceError
from tasks.yaml_file import YamlError, read_yaml


@dataclass(frozen=True)
class JobFiles:
    """The jobs of a folder.

    Attributes:
        ready: The names of those whose files can be used.
        problems: For each of the others its name, and what is wrong with file and line.
    """

    ready: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


def check_jobs() -> JobFiles:
    """Read the files of the jobs folder.

    Raises:
        JobError: there is no job, or none whose file can be used.
    """
    found, folder = JobFiles(), jobs_folder().resolve()
    files = jobs_by_name()
    if not files:
        raise JobError(
            f"There is no job to serve: {folder} {'has no job file' if folder.is_dir() else 'is no folder'}. "
            "`nightcast init FILE` makes a job for a file or table of yours, and `nightcast demo` an example; or name "
            "the folder of your jobs (--jobs, or NIGHTCAST_JOBS)."
        )
    for name, file in files.items():
        if problem := _problem(file.resolve()):
            found.problems[name] = problem
        else:
            found.ready.append(name)
    if not found.ready:
        raise JobError("No job file can be used.\n" + "\n".join(found.problems.values()))
    return found


def _problem(file: Path) -> str:
    """What is wrong with a job; "" for nothing."""
    try:
        loaded = load_job(file)
    except JobError as error:
        return _with_lines(file, str(error))
    try:
        for url in (loaded.job.source.url, loaded.job.output.url):
            resolve_url(url, loaded.base)
    except SourceError as error:
        return f"{file}: {error}"
    # The parts that are made at the first night lie in the nearest folder that exists.
    place = next(folder for folder in (loaded.places.report, *loaded.places.report.parents) if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        return (
            f"{file}: its reports cannot be written below {place}: this user may not. Give the right, or set "
            "output.report to another folder."
        )
    return ""


def _with_lines(file: Path, message: str) -> str:
    """The problems of a job file, each with its line; the message as it is where the file is no YAML."""
    try:
        document = read_yaml(file)
    except YamlError:
        return message
    if not isinstance(document, dict):
        return message
    root = yaml.compose(file.read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader)
    return "\n".join(f"{file}, line {_line(root, place)}: {text}" for place, text in located_problems(document))


def _line(root: Any, place: Sequence[int | str]) -> int:
    """The line of a key, or of the part in which it is missing."""
    node, line = root, 1
    for key in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((name, value) for name, value in node.value if name.value == str(key)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line
