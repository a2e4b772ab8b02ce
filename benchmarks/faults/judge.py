"""What a trial left, seen from outside: rows, files, run rows and secrets."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from benchmarks.faults.site import JOB, SECRETS, Site

FAULTS = (
    "lost_rows", "doubled_rows", "parquet_unlike_sql", "half_nights_seen", "secrets_seen", "left_over_files",
    "stayed_running", "unexpected",
)  # fmt: skip
"""What is counted. A trial holds where all of them are zero."""

_STAMP = "%Y-%m-%dT%H%M%SZ"
# Of SQLite itself: what a killed process leaves, the next one takes in.
_OF_SQLITE = re.compile(r"\.db-(wal|shm|journal)$")
_SURPRISE = re.compile(r"\(unexpected;|Traceback \(most recent call last\)|Exception ignored in|Fatal Python error")


@dataclass
class Findings:
    """How often each fault was found, and the first of them in words."""

    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, fault: str, count: int, note: str) -> None:
        """Count a fault, if there is any."""
        if count:
            self.counts[fault] += count
            self.notes.append(f"{fault}: {note}"[:600])

    def merge(self, other: Findings) -> None:
        """Add what was found elsewhere."""
        self.counts.update(other.counts)
        self.notes += other.notes


def judge(site: Site, must: set[str], known: set[str], *, at_rest: bool) -> Findings:
    """Compare what is there with what must be.

    Args:
        site: The job; none of its nights runs now.
        must: Days of the nights that must be published.
        known: The job's files and folders before the fault.
        at_rest: Whether files of a killed run must have been cleared away: after the next ordinary run.
    """
    found = Findings()
    with site.engine().connect() as connection:
        publications = {
            pd.Timestamp(row.cutoff).strftime("%Y-%m-%d"): row
            for row in connection.execute(sa.text("SELECT cutoff, run_id, rows FROM publication"))
        }
        found.add(
            "lost_rows", site.shape.rows * len(must - set(publications)), f"{must - set(publications)} is missing"
        )
        rows = pd.read_sql(sa.text("SELECT * FROM forecast"), connection)
        running = connection.execute(sa.text("SELECT run_id FROM run WHERE state = 'running'")).all()
    rows["day"] = pd.to_datetime(rows["cutoff"], utc=True, format="ISO8601" if rows["cutoff"].dtype == object else None)
    rows["day"] = rows["day"].dt.strftime("%Y-%m-%d")
    for day, of_day in rows.groupby("day"):
        if day not in publications:
            found.add("half_nights_seen", 1, f"{len(of_day)} rows of {day} without a publication")
    for day, publication in publications.items():
        _judge_night(site, day, publication, rows[rows["day"] == day], found, at_rest=at_rest)
    if at_rest:
        found.add("stayed_running", len(running), f"{[row.run_id for row in running]}")
        left = left_over(site, set(publications), known)
        found.add("left_over_files", len(left), f"{left[:8]}")
    return found


def _judge_night(site: Site, day: str, publication: Any, rows: pd.DataFrame, found: Findings, *, at_rest: bool) -> None:
    keys = rows[["series_id", "step"]].drop_duplicates()
    found.add("lost_rows", max(site.shape.rows - len(keys), 0), f"{day} has {len(keys)} of {site.shape.rows} rows")
    found.add("doubled_rows", len(rows) - len(keys), f"{day} has {len(rows)} rows with {len(keys)} keys")
    runs = set(rows["run_id"])
    if runs and (runs != {publication.run_id} or publication.rows != len(rows)):
        found.add("half_nights_seen", 1, f"{day} is of {publication.run_id}, {publication.rows} rows, but has {runs}")
    if at_rest and (difference := unlike(site.shown(day), rows.drop(columns="day"))):
        found.add("parquet_unlike_sql", 1, f"{day}: {difference}")


def unlike(file: Path, rows: pd.DataFrame) -> str:
    """How a Parquet file differs from the rows of the table; "" where it does not."""
    files = sorted(file.parent.glob("*.parquet"))
    if files != [file]:
        return f"the folder has the files {[each.name for each in files]}"
    try:
        shown = pq.ParquetFile(file).read().to_pandas()
    except (pa.ArrowException, OSError) as error:
        return f"the file cannot be read: {error}"
    stored, shown = _comparable(rows), _comparable(shown)
    # The folder's name says what job and cutoff are.
    stored = stored.drop(columns=["job", "cutoff"])
    missing = [name for name in stored if name not in shown and stored[name].notna().any()]
    if missing or len(stored) != len(shown):
        return f"{len(shown)} rows for {len(stored)}, columns missing: {missing}"
    return ", ".join(
        f"{name} {shown[name].iloc[0]!r} for {stored[name].iloc[0]!r}"
        for name in stored
        if name in shown and not _same(stored[name], shown[name])
    )


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.sort_values(["series_id", "step"]).reset_index(drop=True)
    for name in {"cutoff", "timestamp", "local_time", "created_at"} & set(rows.columns):
        text = not pd.api.types.is_datetime64_any_dtype(rows[name])
        rows[name] = pd.to_datetime(rows[name], utc=True, format="ISO8601" if text else None).astype(
            "datetime64[us, UTC]"
        )
    return rows


def _same(one: pd.Series, other: pd.Series) -> bool:
    if pd.api.types.is_float_dtype(one) or pd.api.types.is_float_dtype(other):
        one, other = one.astype(float), other.astype(float)
        return bool(((one - other).abs().fillna(0) == 0).all() and (one.isna() == other.isna()).all())
    return [None if pd.isna(each) else each for each in one] == [None if pd.isna(each) else each for each in other]


def files_of(site: Site) -> set[str]:
    """Files and folders of a job, folders with a slash at their end."""
    return {
        path.relative_to(site.job).as_posix() + "/" * (path.is_dir() and not path.is_symlink())
        for path in site.job.rglob("*")
        if not _OF_SQLITE.search(path.name)
    }


def left_over(site: Site, published: set[str], known: set[str]) -> list[str]:
    """Files and folders that no published night explains, and temporary files."""
    homes = {"reports/index.html", f"reports/{JOB}/index.html", f"reports/{JOB}/index.json"}
    allowed = {"forecasts.db", "forecasts/", f"forecasts/job={JOB}/", "reports/", f"reports/{JOB}/", *homes}
    for day in published:
        folder = f"forecasts/job={JOB}/cutoff={day}T000000Z/"
        pages = {f"reports/{JOB}/{day}T000000Z.{kind}" for kind in ("html", "json")}
        allowed |= {folder, f"{folder}part-0.parquet", *pages}
    with site.engine().connect() as connection:
        versions = [row.version for row in connection.execute(sa.text("SELECT version FROM model"))]
    kept = tuple(f"versions/{JOB}/{version}/" for version in versions)
    left = [path for path in files_of(site) - known - allowed if not path.startswith(kept)]
    if versions:
        left = [path for path in left if path not in ("versions/", f"versions/{JOB}/")]
    return sorted(left) + sorted(f"tmp/{path.name}" for path in site.passing.iterdir())


def secrets_in(site: Site) -> Findings:
    """Where a password or a token of the environment can be seen: output, files, and tables."""
    found = Findings()
    needles = [secret.encode() for secret in SECRETS]
    for path in sorted(site.root.rglob("*")):
        # A worker that is killed leaves what Prefect gave to its runs, all of the environment, in its own folder.
        if path.is_file() and "prefect-workspace" not in str(path):
            text = path.read_bytes()
            for needle in needles:
                where = text.find(needle)
                if where >= 0:
                    shown = text[max(0, where - 120) : where + 20].decode(errors="replace")
                    found.add("secrets_seen", 1, f"{path.relative_to(site.root)}: {shown!r}")
                    break
    if site.database == "postgresql":
        engine = site.engine()
        with engine.connect() as connection:
            for table in sa.inspect(connection).get_table_names():
                for (row,) in connection.execute(sa.text(f'SELECT CAST(t AS text) FROM "{table}" t')):
                    if any(secret in row for secret in SECRETS):
                        found.add("secrets_seen", 1, f"table {table}: {row[:300]}")
    return found


def surprises(said: str) -> Findings:
    """What a night says that none should: that an error was unexpected, or a traceback."""
    found = Findings()
    if match := _SURPRISE.search(said):
        found.add("unexpected", 1, said[max(0, match.start() - 300) : match.end() + 300])
    return found
