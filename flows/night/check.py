"""Check a job and its source: find every problem that would stop a night, and change nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from flows.job.job import LoadedJob, load_job
from models.audit.build_panel import Audit
from models.errors import InputError
from sql.engine.patience import HASTE, patience
from sql.errors import SourceError, StorageError
from sql.full_disk import FullDisk, told_of_full_disk
from sql.migrations.rehearse import Attempt
from sql.output.quantile_columns import quantile_column
from sql.source.read import describe_source
from tasks.forecasting.reconcile import require_method
from tasks.monitoring.addresses import problem_of_webhook
from tasks.monitoring.deliver import NotifyError
from tasks.monitoring.notify import check_targets
from tasks.night.owner import NameTaken, refuse_taken_name
from tasks.printing.safe import safe_lines
from tasks.reading.audit import audit_input, refuse_stale
from tasks.reading.read_series import Extent, read_series
from tasks.runner.cluster import check_runner
from tasks.runner.errors import RunnerError
from tasks.store.probes import database_kept, probe_places


@dataclass(frozen=True)
class Checked:
    """What the check of a job found.

    Attributes:
        job: The job's name.
        problems: What would stop a night, each with its remedy.
        audit: What the source holds; None where it could not be read.
        tried: What a night does to its folders and tables, and whether each would work.
    """

    job: str
    problems: list[str] = field(default_factory=list)
    audit: Audit | None = None
    tried: list[Attempt] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "job": self.job,
            "ok": not self.problems,
            "problems": self.problems,
            "tried": [{**each._asdict(), "works": not each.problem} for each in self.tried],
            "audit": None if self.audit is None else self.audit.to_dict(),
        }

    def text(self) -> str:
        """The result for people."""
        lines = [f"{self.job}: {'ready' if not self.problems else f'not ready, {len(self.problems)} to fix'}"]
        # A job file may have several problems, each in a line.
        lines += [f"  problem  {line}" for problem in self.problems for line in problem.split("\n")]
        for each in self.tried:
            state = "does not work" if each.problem else each.note or "works"
            lines.append(f"  tried    {each.what}: {state}")
        if self.audit is not None:
            lines.append(
                f"  source   {self.audit.rows_read} rows, {self.audit.series} series, {self.audit.observed} observed "
                f"values from {self.audit.first:%Y-%m-%d %H:%M} to {self.audit.last:%Y-%m-%d %H:%M} UTC"
            )
            lines += [f"  finding  {finding}" for finding in self.audit.findings]
        return safe_lines(lines)


def check_job(job: str | Path) -> Checked:
    """Read the job and its whole source, and try what a night does to its places. Nothing of it stays.

    Raises:
        JobError: the job file itself cannot be used.
    """
    with patience(HASTE):
        return _check(load_job(job))


def _check(loaded: LoadedJob) -> Checked:
    audit, now = None, datetime.now(UTC)
    columns = [quantile_column(level) for level in sorted({*loaded.job.forecast.quantile_levels, 0.5})]
    with database_kept(loaded.places):
        tried = probe_places(loaded.places, columns, now)
        # One reason may make several things impossible.
        problems = [*dict.fromkeys(f"output: {each.problem}" for each in tried if each.problem)]
        try:
            refuse_taken_name(loaded.job, loaded.places, loaded.path)
        except NameTaken as error:
            problems.append(f"output: {error}")
        except (SourceError, StorageError, OSError) as error:
            # Where the database does not answer, that is known already.
            problems = problems or [f"output: {error}"]
    try:
        check_runner(loaded.job.runner)
    except (InputError, RunnerError) as error:
        problems.append(f"runner: {error}")
    try:
        check_targets(loaded.job.notify)
        problem, note = problem_of_webhook(loaded.job.notify)
        problems += [problem] if problem else []
        tried += [Attempt("find the webhook's host", note=note)] if note else []
    except NotifyError as error:
        problems.append(str(error))
    try:
        require_method(loaded.job.aggregation_levels)
    except InputError as error:
        problems.append(str(error))
    try:
        with told_of_full_disk(gettempdir()), TemporaryDirectory() as folder:
            rows_file = read_series(loaded.job, loaded.base, Extent(now=now), Path(folder))
            audit = audit_input(loaded.job, rows_file, None, now).audit
            refuse_stale(audit, describe_source(loaded.job.source, loaded.base), loaded.job.audit)
    except (InputError, SourceError, StorageError, FullDisk) as error:
        problems.append(f"source: {error}")
    return Checked(loaded.job.name, problems, audit, tried)
