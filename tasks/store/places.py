"""Where everything of one job lies: tables, Parquet files, model versions, reports, and the scratch of its nights."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from sqlalchemy import Engine, inspect

from sql.engine.connection import connect, storage_errors
from sql.engine.patience import patiently
from sql.engine.url import describe, identity_of, resolve_url
from sql.errors import SourceError
from sql.full_disk import told_of_full_disk
from sql.migrations.migrate import migrate
from tasks.interrupts import InterruptsHeldBack
from tasks.settings import Output
from tasks.store.ownership import owned_folder, remove_dead_copies, remove_dead_folders

REPORT_URL = "NIGHTCAST_REPORT_URL"
"""The variable of the environment in which `nightcast serve` tells its workers where it publishes reports."""


class PlaceError(ValueError):
    """A folder of `output` is on a file system that nothing installed can open."""


@dataclass(frozen=True)
class Places:
    """One job's places; relative paths start at the folder of the job's file.

    Attributes:
        job: The job's name.
        base: Folder of the job's file.
        output: The job's `output` part, as written.
    """

    job: str
    base: Path
    output: Output

    def engine(self) -> Engine:
        """The database of the output tables.

        Raises:
            SourceError: the URL cannot be read, or names a variable that is not set.
        """
        return connect(resolve_url(self.output.url, self.base))

    def has_database(self) -> bool:
        """Whether there is a database: a SQLite file must exist, and is not made; any other is taken to exist."""
        url = resolve_url(self.output.url, self.base)
        return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()

    @patiently
    def has_runs(self) -> bool:
        """Whether there is the table `run`, which the first night makes.

        Raises:
            StorageError: the database does not answer.
        """
        if not self.has_database():
            return False
        engine = self.engine()
        with storage_errors(engine.url, "look for tables in"):
            return inspect(engine).has_table("run")

    def ready_engine(self) -> Engine:
        """The database of the output tables, migrated to this release.

        Raises:
            SourceError: no night has run yet, so there are no tables. None are made.
            StorageError: the database does not answer.
        """
        if not self.has_runs():
            lacking = "holds no tables" if self.has_database() else "is not there"
            raise SourceError(f"{self.url_text} {lacking}: no night of {self.job} has run yet. Try `nightcast run`.")
        engine = self.engine()
        migrate(engine)
        return engine

    @property
    def url_text(self) -> str:
        """The output URL for people, without a password."""
        return describe(resolve_url(self.output.url, self.base))

    @property
    def database(self) -> str:
        """What tells the output database from others: its URL with variables filled in, without a password."""
        return identity_of(resolve_url(self.output.url, self.base))

    @property
    def parquet(self) -> str:
        """Folder (path or URL) of the Parquet files."""
        return self._absolute(self.output.parquet)

    @property
    def versions(self) -> str:
        """Folder (path or URL) of the model versions."""
        return self._absolute(self.output.versions)

    @property
    def report(self) -> Path:
        """Folder of the reports."""
        return self.base / self.output.report / self.job

    def report_file(self, cutoff: datetime) -> Path:
        """File of the report of one night."""
        return self.report / f"{stamp(cutoff)}.html"

    def details_file(self, cutoff: datetime) -> Path:
        """File of what the steps of one night found, beside its report."""
        return self.report / f"{stamp(cutoff)}.json"

    def published_at(self, page: Path) -> str:
        """The address of one of the job's pages for a browser; "" where no web server is known to publish them."""
        address = self.output.report_url or os.environ.get(REPORT_URL, "")
        return f"{address.rstrip('/')}/{quote(self.job)}/{quote(page.name)}" if address else ""

    def _absolute(self, place: str) -> str:
        return place.rstrip("/") if "://" in place else str((self.base / place).resolve())

    def scratch_folder(self, run_id: str) -> Path:
        """The folder beside the reports for the files that the steps of one run hand each other, see `scratch`."""
        return self._scratches / run_id

    @contextmanager
    def scratch(self, run_id: str) -> Iterator[Path]:
        """The scratch folder of a run, made now and removed when the run ends.

        An interrupt that comes during the removal waits for its end; a second one does not.
        """
        reports = self.report.parent
        made_here = [] if reports.exists() else [reports]
        folder, interrupts = self.scratch_folder(run_id), InterruptsHeldBack()
        try:
            # Whoever writes elsewhere names the place himself. What is free is measured before the folder is removed.
            with told_of_full_disk(folder), owned_folder(folder, self.lock), told_of_full_disk(folder):
                try:
                    yield folder
                finally:
                    interrupts.begin()
        finally:
            interrupts.begin()
            for empty in (self._scratches, self._scratches.parent, *made_here):
                with suppress(OSError):
                    empty.rmdir()
            interrupts.end()

    def remove_left_over(self) -> None:
        """Remove the scratch of killed runs, which may hold whole panels, and their half-written reports.

        Only the owner of the job's lock may call it.
        Another job file with the same name, whose lock is another one, may have its scratch there too.
        """
        remove_dead_folders(self._scratches, self.lock)
        with suppress(OSError):
            self._scratches.parent.rmdir()
        for folder in (self.report, self.report.parent):
            remove_dead_copies(folder)

    @property
    def lock(self) -> str:
        """What the job's lock depends on."""
        return f"{self.job} in {self.database}"

    @property
    def _scratches(self) -> Path:
        return self.report.parent / ".nightcast" / self.job


def write_whole(file: Path, text: str) -> None:
    """Write a text file without secrets, and its folder; a reader finds either the old text or all of the new one.

    A kill may leave a copy beside the file; `Places.remove_left_over` removes it.
    """
    content = text.encode()
    with told_of_full_disk(file.parent, len(content)):
        file.parent.mkdir(parents=True, exist_ok=True)
        # Another run may take the copy for a dead run's, in the moment before it is held.
        try:
            _replace(file, content)
        except FileNotFoundError:
            _replace(file, content)


def _replace(file: Path, content: bytes) -> None:
    # A unique name: the same night may run twice at once.
    aside = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        with aside.open("xb") as stream:
            with suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stream.write(content)
            stream.flush()
            os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)


STAMP = r"\d{4}-\d\d-\d\dT\d{6}Z"
"""The pattern of what `stamp` writes; stamps sort like times."""


def stamp(moment: datetime) -> str:
    """A UTC moment as part of a file's name.

    >>> stamp(datetime(2024, 3, 1, tzinfo=UTC))
    '2024-03-01T000000Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")
