"""Makes the job file for somebody's own file or table: look, propose, write, and load a file into a database."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.job.job import SCHEDULES, JobError, load_job
from flows.job.next_commands import next_commands
from flows.job.problems import abbreviate, problems_of
from sql.engine.url import describe, resolve_url
from sql.full_disk import told_of_full_disk
from sql.imports.file_format import FileFormat
from sql.imports.import_file import Imported, import_file
from sql.sample.file_sample import sample_file
from sql.sample.list_tables import has_table, only_table
from sql.sample.sample import Sample
from sql.sample.table_sample import query_with_id, sample_table
from tasks.guide.addresses import JobUrl, url_for_job, url_of_path
from tasks.guide.job_text import Source, job_text
from tasks.guide.proposal import Proposal, Wishes
from tasks.guide.propose import propose

_LONGEST_NAME = 60


@dataclass(frozen=True)
class NewJob:
    """What somebody asks for.

    Attributes:
        given: A file, or the URL of a database.
        table: The table of the database, or the one that a file is loaded into.
        name: The job's name; by default that of the file or table.
        to: URL of the database that a file is loaded into.
        folder: Of the job file; by default the jobs folder.
        wishes: What is known about the columns.
        said: What is known about the file.
    """

    given: str
    table: str | None = None
    name: str | None = None
    to: str | None = None
    folder: Path | None = None
    wishes: Wishes = field(default_factory=Wishes)
    said: FileFormat = field(default_factory=FileFormat)


@dataclass(frozen=True)
class MadeJob:
    """A job file that was made.

    Attributes:
        name: The job's name.
        file: The job file.
        proposal: What it says, and what is open.
        loaded: Where a file was loaded into, in words; "" for a source that is read as it is.
        rows: The number of rows that were loaded.
        notes: What a person should know about how the file was read.
        variables: Variables of the environment that must be set, since a URL holds a password.
        next: The commands that come next.
    """

    name: str
    file: Path
    proposal: Proposal
    loaded: str
    rows: int | None
    notes: list[str]
    variables: list[str]
    next: list[str]


@dataclass
class _Target:
    """Where the job reads its rows, and what is to be loaded there first."""

    url: JobUrl
    table: str
    load: str | None = None
    query: str | None = None
    variables: list[str] = field(default_factory=list)


def make_job(asked: NewJob) -> MadeJob:
    """Write a job file for a file or table, after a look at some of its rows.

    A Parquet file is read as it is. A CSV file is loaded into a database first: that of `to`, else a SQLite file beside
    the jobs folder.

    Raises:
        JobError: the name is none of a job, there is such a job already, or the folder cannot be written.
        GuideError: the rows suggest no job.
        SourceError, StorageError: the file, table or database cannot be read or written.
    """
    folder = Path(os.path.abspath(asked.folder or _default_folder()))
    is_url = "://" in asked.given
    if is_url and (asked.to is not None or asked.said != FileFormat()):
        raise JobError(
            "A table of a database is read as it is, so that it is not loaded anywhere and has no format of a file. "
            "Leave out what concerns files (--to, --text, --number, --time, --delimiter, --decimal, --date-format)."
        )
    table = asked.table
    if is_url and table is None:
        table = only_table(resolve_url(asked.given))
    name = asked.name or _name_from((table or "").rpartition(".")[2] if is_url else Path(asked.given).stem)
    file = _free_file(folder, name)
    # Whoever names the columns of a file has seen that it is not wide.
    named = asked.wishes.series_id or asked.wishes.value
    said = replace(asked.said, wide=False) if named and asked.said.wide is None else asked.said
    sample = sample_table(resolve_url(asked.given), table or "") if is_url else sample_file(Path(asked.given), said)
    proposal = propose(sample, asked.wishes)
    target = _target(asked, name, folder, proposal, table)
    text = job_text(name, Source(target.url.text, None if target.query else target.table, target.query), proposal)
    _check_text(name, text)
    loaded: Imported | None = None
    with _written(file, text):
        if target.load is not None:
            formats = _format_of(said, sample, proposal)
            loaded = import_file(Path(asked.given), resolve_url(target.load), target.table, said=formats)
    return MadeJob(
        name=name,
        file=file,
        proposal=proposal,
        loaded=f"table {target.table} of {describe(resolve_url(target.load))}" if target.load else "",
        rows=loaded.rows if loaded else None,
        notes=loaded.notes if loaded else sample.notes,
        variables=[target.url.variable] if target.url.variable else [],
        next=next_commands(name, file),
    )


def _default_folder() -> Path:
    # The folder of the demo is that of jobs only as long as there is no other.
    return Path(os.environ.get("NIGHTCAST_JOBS") or "jobs")


def _name_from(text: str) -> str:
    """A job's name from that of a file or table.

    >>> _name_from("Daily Sales"), _name_from("2024.v2")
    ('daily-sales', 'job-2024-v2')
    """
    words = re.sub(r"[^a-z0-9_]+", "-", text.lower())[:_LONGEST_NAME].strip("-_")
    return words if words and not words[0].isdigit() else f"job-{words}".rstrip("-")


def _free_file(folder: Path, name: str) -> Path:
    """The job file to write.

    Raises:
        JobError: the name is none of a job, or there is such a file already.
    """
    stand_in = {"source": {"url": "sqlite:///a.db", "table": "t"}, "forecast": {"frequency": "D", "horizon": 1}}
    if wrong := problems_of({"name": name, **stand_in}):
        raise JobError(
            f"{abbreviate(name)} cannot be the name of a job: {wrong[0].removeprefix('name: ')}. Name another one "
            "(--name), of lower-case letters, digits, _ and -, such as daily-sales."
        )
    if f"{name}.yaml" == SCHEDULES:
        raise JobError(f"{SCHEDULES} says when jobs run, so no job can be named {name}. Name another one (--name).")
    for ending in (".yaml", ".yml"):
        if os.path.lexists(file := folder / f"{name}{ending}"):
            raise _taken(file)
    return folder / f"{name}.yaml"


def _taken(file: Path) -> JobError:
    return JobError(
        f"There is already a job file {file}, and it stays as it is. Give the new job another name (--name), or move "
        "that file away."
    )


def _target(asked: NewJob, name: str, folder: Path, proposal: Proposal, table: str | None) -> _Target:
    """Where the job reads; for a file that must be loaded first, its database and table.

    Raises:
        JobError: there is such a table already.
    """
    columns, path = proposal.columns, Path(asked.given)
    if "://" in asked.given and table is not None:
        return _database(asked, name, folder, proposal, table)
    as_it_is = path.suffix == ".parquet" and asked.to is None and not asked.said.wide
    if as_it_is and columns.series_id:
        return _Target(JobUrl(url_of_path("parquet", path.absolute().parent, folder)), path.stem)
    table = table or name.replace("-", "_")
    beside = folder.parent / f"{name}.db"
    load = asked.to or f"sqlite:///{beside}"
    target = resolve_url(load)
    if has_table(target, table):
        raise JobError(
            f"There is already a table {table!r} in {describe(target)}, and it stays as it is. Load the file into "
            "another one (--table, --name or --to), or give the URL of the database to make a job of the table there."
        )
    shown = url_for_job(asked.to, name, folder) if asked.to else JobUrl(url_of_path("sqlite", beside, folder))
    query = None if columns.series_id else query_with_id(target, table, name, _read_of(proposal))
    return _Target(shown, table, load, query)


def _database(asked: NewJob, name: str, folder: Path, proposal: Proposal, table: str) -> _Target:
    """A table of a database, which is read as it is."""
    shown, url, columns = url_for_job(asked.given, name, folder), resolve_url(asked.given), proposal.columns
    if columns.series_id:
        return _Target(shown, table)
    if url.get_backend_name() == "parquet":
        raise JobError(
            f"No column of {proposal.where} identifies a series, and Parquet files cannot answer a query that gives "
            "them one. Name the column (--series-id), or give the path of the file instead of a URL: it is then loaded "
            "into a SQLite file."
        )
    return _Target(shown, table, query=query_with_id(url, table, name, _read_of(proposal)))


def _read_of(proposal: Proposal) -> list[str]:
    """The columns of a single series without an id."""
    return [proposal.columns.timestamp, proposal.columns.value, *_numbers(proposal)]


def _numbers(proposal: Proposal) -> list[str]:
    columns = proposal.columns
    return [*columns.static_numbers, *columns.known_future, *columns.observed_past]


def _format_of(said: FileFormat, sample: Sample, proposal: Proposal) -> FileFormat:
    """What is known about the columns of a file after the look at it, so that a later row changes no meaning."""
    if said.wide:
        return said
    named, columns = {*said.text, *said.numbers, *said.times}, proposal.columns
    kinds = {each.name: str(each.type) for each in sample.rows.schema}
    texts = [name for name in (*columns.series_id, *columns.static) if kinds[name] == "string"]
    numbers = [name for name in (columns.value, *_numbers(proposal)) if kinds[name] in ("int64", "double")]
    return replace(
        said,
        wide=False,
        text=(*said.text, *(name for name in texts if name not in named)),
        numbers=(*said.numbers, *(name for name in numbers if name not in named)),
        times=(*said.times, *({columns.timestamp} - named)),
    )


def _check_text(name: str, text: str) -> None:
    """Read a job file as the commands will, before it is kept.

    Raises:
        JobError: it cannot be used.
    """
    with told_of_full_disk("the temporary folder"), TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            load_job(file)
        except JobError as error:
            raise JobError(
                str(error).replace(str(file.resolve()), f"The job file {name}.yaml that was proposed")
            ) from None


@contextmanager
def _written(file: Path, text: str) -> Iterator[None]:
    """A block with a new job file, which does not stay if the block fails.

    Raises:
        JobError: there is such a file already, or the folder cannot be made or written.
    """
    is_new = not file.parent.exists()
    try:
        with told_of_full_disk(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as opened:
                opened.write(text)
        yield
    except OSError as error:
        if isinstance(error, FileExistsError) and error.filename == str(file):
            raise _taken(file) from None
        _remove(file, is_new=is_new)
        if error.filename is None or Path(str(error.filename)) not in (file, *file.parents):
            raise
        reason = "one of its folders is a file" if isinstance(error, FileExistsError) else error.strerror
        raise JobError(
            f"The job file {file} cannot be written: {reason}. Name a folder that this user may write to (--jobs)."
        ) from None
    except BaseException:
        _remove(file, is_new=is_new)
        raise


def _remove(file: Path, *, is_new: bool) -> None:
    with suppress(OSError):
        file.unlink()
    with suppress(OSError):
        # Only if nothing else is in it.
        if is_new:
            file.parent.rmdir()


def made_document(made: MadeJob) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "job": made.name,
        "file": str(made.file),
        "loaded": made.loaded,
        "rows": made.rows,
        "notes": made.notes,
        "set": made.variables,
        "next": made.next,
        "proposal": made.proposal.to_dict(),
    }
