"""A job's name belongs to the file and source that first used it: no copied job file replaces its rows by accident."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sql.errors import SourceError
from sql.output.owner import address_of, keep_owner, owner_of
from sql.source.settings import Source
from tasks.night.job import Job
from tasks.settings import Output
from tasks.store.places import Places
from tasks.yaml_file import YamlError, read_yaml

_LONGEST_RELATION = 80


class NameTaken(ValueError):
    """The name of a job belongs to another one; the message says to which, and what to do."""


@dataclass(frozen=True)
class Owner:
    """A job as the table `job` describes it; the attributes are its columns.

    Attributes:
        file: Path of the job file.
        machine: Name of the machine.
        url: `source.url` as the job file writes it.
        address: The same with variables filled in and an absolute path, without user and password.
        relation: Table or query.
        output: Address of the output database.
    """

    file: str
    machine: str
    url: str
    address: str
    relation: str
    output: str

    @classmethod
    def of(cls, source: Source, file: Path, output: str) -> Owner:
        """The owner that a job file would be on this machine.

        Args:
            source: The job's.
            file: The job file.
            output: The job's `output.url`.

        Raises:
            SourceError: the URL of the source names a variable that is not set.
        """
        query = " ".join((source.query or "").split())
        relation = f"query {query}" if source.table is None else f"table {source.table}"
        address, its_output = (address_of(url, file.parent) for url in (source.url, output))
        return cls(str(file), platform.node(), source.url, address, relation, its_output)

    def __str__(self) -> str:
        short = self.relation[:_LONGEST_RELATION] + "…" * (len(self.relation) > _LONGEST_RELATION)
        return f"{self.file} ({short} in {self.address})"

    @property
    def has_query(self) -> bool:
        """Whether the source is a query, and not a table."""
        return self.relation.startswith("query ")

    def has_url_of(self, other: Owner) -> bool:
        """Whether both read the same database: one URL as written, such as `${SOURCE_URL}`, or one address."""
        return self.url == other.url or self.address == other.address

    def has_source_of(self, other: Owner) -> bool:
        """Whether both read the same table or query of the same database."""
        return self.has_url_of(other) and self.relation == other.relation


def refuse_taken_name(job: Job, places: Places, file: Path) -> None:
    """Raise where the name of a job belongs to another one. Writes nothing, and makes no database.

    Args:
        job: The job.
        places: Where everything of the job lies.
        file: The job file.

    Raises:
        NameTaken: names the owner.
        SourceError: the URL of the source names a variable that is not set.
        StorageError: the output database does not answer.
    """
    if places.has_database():
        _settle(job, places, file)


def claim_name(job: Job, places: Places, file: Path, now: datetime) -> str:
    """Give the name to a job where nobody has it; for the owner of the job's lock, in a database with tables.

    Returns:
        What has changed since the run before, for people; "" where nothing has that they should know.

    Raises:
        NameTaken, SourceError, StorageError: as `refuse_taken_name`.
    """
    before, mine, is_replaced = _settle(job, places, file)
    if before is None:
        keep_owner(places.engine(), {"job": job.name, "since": now, **asdict(mine)})
        return ""
    owner = _owner(before)
    if is_replaced:
        return f"the name was of {owner} before, which this file replaces"
    if owner.has_source_of(mine) or (owner.has_url_of(mine) and mine.has_query):
        return ""
    return f"the source is {mine.relation} in {mine.address} from now on, and was {owner.relation} in {owner.address}"


def keep_name(job: Job, places: Places, file: Path, now: datetime) -> None:
    """Note the file and source of a job at the end of its run: a run that fails changes nothing.

    `claim_name` has judged at the beginning. Files that somebody edits or deletes during the run change nothing: its
    forecasts are published.

    Raises:
        SourceError, StorageError: as `refuse_taken_name`.
    """
    mine, before = Owner.of(job.source, file, places.output.url), owner_of(places.engine(), job.name)
    if before is None or mine != _owner(before):
        since = now
        if before is not None and (before["file"] == mine.file or not _says_it_replaces(job, file, before["file"])):
            since = before["since"]
        keep_owner(places.engine(), {"job": job.name, "since": since, **asdict(mine)})


def _settle(job: Job, places: Places, file: Path) -> tuple[dict[str, Any] | None, Owner, bool]:
    """The owner's row so far, this job as its owner, and whether the job file says that it replaces another file."""
    mine, before = Owner.of(job.source, file, places.output.url), owner_of(places.engine(), job.name)
    if before is None:
        return None, mine, False
    owner = _owner(before)
    if not _is_another(owner, mine, job.name):
        return before, mine, False
    if _says_it_replaces(job, file, owner.file):
        return before, mine, True
    where = "" if owner.machine == mine.machine else f" on {owner.machine}"
    raise NameTaken(
        f"The job name {job.name!r} in {places.url_text} belongs to {owner}{where} since {before['since']:%Y-%m-%d}, "
        f"and this is {mine}: it would replace the rows of that job, and take its champion. Give this job another "
        f"name. If it takes the place of that job, write `replaces: {owner.file}` into this file."
    )


def _says_it_replaces(job: Job, file: Path, other: str) -> bool:
    """Whether the job file says that it takes the place of another one."""
    if job.replaces is None:
        return False
    # Only `*` is special: a path may hold `[`, which a file name pattern takes for a set of characters.
    parts = os.path.abspath(file.parent / job.replaces).split("*")
    return re.fullmatch(".*".join(map(re.escape, parts)), other, re.DOTALL) is not None


def _owner(row: dict[str, Any]) -> Owner:
    return Owner(**{key: value for key, value in row.items() if key not in ("job", "since")})


def _is_another(owner: Owner, mine: Owner, name: str) -> bool:
    """Whether a job is another one than the owner of its name, judged by file, machine and source."""
    if _moved_together(owner, mine):
        return False
    file, theirs = Path(mine.file), Path(owner.file)
    if mine.file == owner.file or _is_same_file(theirs, file):
        # Two machines may have a file of the same path each, which then reads another database.
        return owner.machine != mine.machine and not owner.has_url_of(mine)
    # Some workers check out the job file into a new folder for every run; its query may have been edited meanwhile.
    edits_query = owner.has_url_of(mine) and owner.has_query and mine.has_query and theirs.name == file.name
    if not (owner.has_source_of(mine) or edits_query):
        return True
    if not _still_uses(theirs, name, mine.output):
        return False
    # A release that is unpacked into a folder of its own is the same job, unless it changes the file.
    is_copy = theirs.name == file.name and theirs.read_bytes() == file.read_bytes()
    return not (is_copy and owner.address == mine.address)


def _moved_together(owner: Owner, mine: Owner) -> bool:
    """Whether the job file was moved or copied with its SQLite database, which no other job file writes to then."""
    outputs = [sa.make_url(each.output) for each in (owner, mine)]
    if owner.output == mine.output or any(url.get_backend_name() != "sqlite" for url in outputs):
        return False
    before, now = (
        os.path.relpath(each.file, os.path.dirname(str(url.database)))
        for each, url in zip((owner, mine), outputs, strict=True)
    )
    return before == now


def _is_same_file(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        # It is not there, or in a folder that this user may not enter.
        return False


def _still_uses(file: Path, name: str, output: str) -> bool:
    """Whether there is a job file on this machine with this name and output database."""
    try:
        document = read_yaml(file)
    except YamlError:
        return False
    if not isinstance(document, dict) or document.get("name") != name:
        return False
    places = document.get("output")
    url = places.get("url", Output().url) if isinstance(places, dict) else Output().url
    try:
        return address_of(str(url), file.parent) == output
    except SourceError:
        return False
