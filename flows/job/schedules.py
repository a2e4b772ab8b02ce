"""The file `schedules.yaml` of a jobs folder: which job runs when. People and `nightcast schedule` write it."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from flows.job.cron import Schedule, to_schedule
from flows.job.job import SCHEDULES, JobError, jobs_folder
from flows.job.problems import abbreviate
from sql.full_disk import FullDisk
from tasks.store.places import write_whole
from tasks.yaml_file import YamlError, parse_yaml, read_yaml

_HEAD = """\
# When the jobs of this folder run. `nightcast schedule` writes this file, and you may edit it. `nightcast serve` reads
# it when it starts and whenever it changes. Keep it with the job files, under version control.
"""
_KEYS = ("cron", "time_zone")


def schedules_file() -> Path:
    """The file of the jobs folder, whether it exists or not."""
    return (jobs_folder() / SCHEDULES).absolute()


def read_schedules() -> dict[str, Schedule]:
    """The schedules of the jobs folder by the names of their jobs; empty where there is no file.

    Raises:
        JobError: the file cannot be read, or one of its schedules is none; names the file and the job.
    """
    file = schedules_file()
    if not os.path.lexists(file):
        return {}
    try:
        document = read_yaml(file)
    except YamlError as error:
        raise JobError(str(error)) from None
    return _schedules_of(document, file)


def set_schedule(job: str, schedule: Schedule | None) -> Schedule | None:
    """Put a job on a schedule, or off it with None; gives the one that it had. Comments and other jobs stay.

    Raises:
        JobError: the file cannot be read or written.
    """
    with _locked():
        before = read_schedules()
        if before.get(job) == schedule:
            return schedule
        wanted = {name: each for name, each in before.items() if name != job}
        wanted |= {} if schedule is None else {job: schedule}
        _write(_changed_text(job, schedule, wanted))
        return before.get(job)


def _schedules_of(document: Any, file: Path) -> dict[str, Schedule]:
    example = 'daily-sales: {cron: "0 3 * * *", time_zone: Europe/Madrid}'
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise JobError(f"{file} holds no mapping, but {abbreviate(document)}. Write a line for each job: {example}.")
    found = dict[str, Schedule]()
    for job, settings in document.items():
        where = f"{file}, {abbreviate(job)}"
        if not isinstance(job, str) or not isinstance(settings, dict):
            raise JobError(f"{where}: found {abbreviate(settings)}. Write {example}.")
        for key in settings:
            if key not in _KEYS:
                near = get_close_matches(str(key), _KEYS, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(_KEYS)}."
                raise JobError(f"{where}: unknown key {abbreviate(key)}; {remedy}")
        for key in _KEYS:
            if not isinstance(settings.get(key), str):
                said = f"is {abbreviate(settings[key])}" if key in settings else "is missing"
                raise JobError(f"{where}: {key} {said}. Write text in quotes: {example}.")
        try:
            found[job] = to_schedule(settings["cron"], settings["time_zone"])
        except JobError as error:
            raise JobError(f"{where}: {error}") from None
    return found


@contextmanager
def _locked() -> Iterator[None]:
    """A block in which no other process changes the file.

    Raises:
        JobError: there is no such folder, or it cannot be opened.
    """
    folder = schedules_file().parent
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise JobError(
            f"The jobs folder {folder} cannot be opened: {error.strerror}. Set NIGHTCAST_JOBS to that of your jobs."
        ) from None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _changed_text(job: str, schedule: Schedule | None, wanted: Mapping[str, Schedule]) -> str:
    """The text of the file with one line changed, added or removed; all of it anew where that is not possible."""
    file = schedules_file()
    before = file.read_text(encoding="utf-8-sig") if file.exists() else _HEAD
    line = None if schedule is None else _line(job, schedule)
    after = _with_line(before, job, line)
    try:
        if _schedules_of(parse_yaml(after, str(file)), file) == wanted:
            return after
    except (JobError, YamlError):
        pass  # a file in another style, such as one mapping in braces
    return _HEAD + "".join(_line(*each) for each in wanted.items())


def _line(job: str, schedule: Schedule) -> str:
    name = yaml.safe_dump(job, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")
    return f'{name}: {{cron: "{schedule.cron}", time_zone: {schedule.time_zone}}}\n'


def _with_line(text: str, job: str, line: str | None) -> str:
    """Text in which a job has this line instead of its own; a comment behind it stays."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    for key, value in pairs:
        if key.value == job:
            begin, end = key.start_mark.index, _end_of(value)
            if line is not None:
                return text[:begin] + line.removesuffix("\n") + text[end:]
            rest = text.find("\n", end)
            return text[:begin] + (text[rest + 1 :] if rest >= 0 else "")
    apart = "" if not text or text.endswith("\n") else "\n"
    return text + apart + (line or "")


def _end_of(node: yaml.Node) -> int:
    # A mapping in lines ends, for the parser, only where the next key begins, behind comments.
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end_of(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _write(text: str) -> None:
    # A link stays a link to the file that changes.
    file = schedules_file().resolve()
    try:
        mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else None
        write_whole(file, text)
        if mode is not None:
            file.chmod(mode)
    except FullDisk:
        raise
    except OSError as error:
        raise JobError(
            f"The schedules cannot be written to {file}: {error.strerror or error}. Give this user the right to write "
            "there, or name another jobs folder in NIGHTCAST_JOBS."
        ) from None
