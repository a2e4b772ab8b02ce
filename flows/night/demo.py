"""The demo: an example source, its job file, and two nights four weeks apart.

The first night trains. For the second, four weeks of actuals have arrived that the first could not see: it scores the
forecasts of the first night, and makes its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from errno import ENOSPC
from pathlib import Path
from shutil import copyfile
from typing import Any

from flows.job.job import SCHEDULES, JobError, LoadedJob, load_job
from flows.job.moments import to_moment
from flows.job.problems import abbreviate as shorten
from flows.night.request import NightRequest, RunNight
from flows.night.summary import NightSummary
from tasks.night.ledger import Ledger
from tasks.reading.example_source import DAYS_AHEAD, FIRST_DAY, LAST_DAY, make_example_source

JOB_FILE = "store-sales.yaml"
SQLITE = "sqlite:///"
EXAMPLE = Path(__file__).with_name(JOB_FILE)
# Names of the metrics, in the table `score` and for people.
METRICS = {
    "mae": "mean absolute error (MAE)",
    "mase": "scaled error (MASE)",
    "wape": "weighted percentage error (WAPE)",
    "weighted_quantile_loss": "weighted quantile loss (wQL)",
}


@dataclass(frozen=True)
class DemoResult:
    """What the demo made.

    Attributes:
        job_file: The job that ran.
        source: The example database.
        source_rows: Number of its rows.
        nights: The nights that ran now, oldest first.
        scores: Rows of `score` over all steps and series of the older night's forecast.
        scored_cutoff: The day of that night.
    """

    job_file: Path
    source: Path
    source_rows: int
    nights: tuple[NightSummary, ...]
    scores: tuple[Mapping[str, Any], ...]
    scored_cutoff: str

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "job_file": str(self.job_file),
            "source": str(self.source),
            "source_rows": self.source_rows,
            "nights": [night.to_dict() for night in self.nights],
            "scored_cutoff": self.scored_cutoff,
            "scores": [
                {key: row[key] for key in ("segment", "metric", "value", "baseline_value", "n")} for row in self.scores
            ],
        }

    def text(self) -> str:
        """What was made, how good it is, and where the files are, for people."""
        newest = self.nights[-1]
        return "\n".join(
            [
                f"{self.source_rows:,} rows of {newest.series} made-up daily series "
                f"({FIRST_DAY} to {LAST_DAY}) in {abbreviate(self.source)}",
                "",
                *self._night_lines(),
                "",
                *self._score_lines(),
                "",
                "Files",
                f"  {'job file':<10}{abbreviate(self.job_file)}",
                f"  {'tables':<10}{abbreviate(newest.tables)}",
                f"  {'parquet':<10}{abbreviate(newest.parquet)}",
                f"  {'report':<10}{abbreviate(newest.report)}",
                *(["", f"All nights, for a browser: {Path(newest.home).as_uri()}"] if newest.home else []),
            ]
        )

    def _night_lines(self) -> list[str]:
        head = f"{'Night':<14}{'model':<12}{'series':>8}{'by fallback':>13}{'forecast rows':>15}{'seconds':>10}"
        return [head] + [
            f"{_day(night):<14}{night.train_mode:<12}{night.series:>8}{night.fallback_series:>13}"
            f"{night.rows:>15,}{sum(night.seconds.values()):>10.0f}"
            for night in self.nights
        ]

    def _score_lines(self) -> list[str]:
        known = {row["metric"]: row for row in self.scores}
        title = f"Forecast of {self.scored_cutoff}, against the actuals"
        lines = [f"{title:<44}{'model':>10}{'seasonal naive':>17}"]
        for metric, words in METRICS.items():
            row = known.get(metric)
            # A metric without a score must not be missing silently.
            cells = [_figure(row["value"]), _figure(row["baseline_value"])] if row else ["not evaluated", ""]
            lines.append(f"  {words:<42}{cells[0]:>10}{cells[1]:>17}")
        for metric in sorted(name for name in known if name.startswith("coverage_")):
            words = f"inside the {metric.removeprefix('coverage_')} % interval"
            lines.append(f"  {words:<42}{known[metric]['value']:>10.0%}")
        return lines


@dataclass(frozen=True)
class Example:
    """The example job's file, its source, and the number of rows in the source."""

    job_file: Path
    source: Path
    source_rows: int


def make_example(folder: Path) -> Example:
    """Make the example source, its job and the job's schedule in a folder; a job file that exists stays as it is.

    Raises:
        JobError: there can be no such folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == ENOSPC:
            raise
        raise JobError(
            f"The folder {shorten(str(folder))} cannot be made: {error.strerror}. Name one that this user may make."
        ) from None
    source, rows = make_example_source(folder)
    job_file = folder / JOB_FILE
    if not job_file.exists():
        copyfile(EXAMPLE, job_file)
        if not (schedules := folder / SCHEDULES).exists():
            copyfile(EXAMPLE.with_name(SCHEDULES), schedules)
    return Example(job_file, source, rows)


def run_demo(
    folder: Path, run_night: RunNight, on_progress: Callable[[str], None] = lambda message: None
) -> DemoResult:
    """Make the example source and its job in a folder, and run the newest night and those before it that are missing.

    A job file that exists stays as it is: somebody may have changed it.

    Args:
        folder: Folder of the demo; made where it is missing.
        run_night: Runs one night.
        on_progress: Called with a message before each part.

    Raises:
        OSError: where the folder cannot be written.
    """
    on_progress("Making the example source")
    example = make_example(folder)
    job_file = example.job_file
    loaded = load_job(job_file)
    cutoffs = [LAST_DAY - timedelta(days=DAYS_AHEAD), LAST_DAY]
    nights = []
    for cutoff in cutoffs:
        if cutoff != LAST_DAY and _is_published(loaded, str(cutoff)):
            on_progress(f"Night of {cutoff}: published by an earlier demo")
            continue
        on_progress(f"Night of {cutoff}")
        nights.append(run_night(NightRequest(job_file, cutoff=str(cutoff))))
    scored = to_moment(str(cutoffs[0]), loaded.job.forecast.zone)
    scores = Ledger(loaded.places).scores(cutoff=scored, segment="all")
    return DemoResult(
        job_file=job_file,
        source=example.source,
        source_rows=example.source_rows,
        nights=tuple(nights),
        scores=tuple(row for row in scores if row["step"] == 0),
        scored_cutoff=str(cutoffs[0]),
    )


def _is_published(loaded: LoadedJob, cutoff: str) -> bool:
    if not loaded.places.has_runs():
        return False
    moment = to_moment(cutoff, loaded.job.forecast.zone)
    return any(row["cutoff"] == moment for row in Ledger.opened(loaded.places).publications())


def abbreviate(path: str | Path) -> str:
    """A path or the URL of a SQLite file as people type it: relative below the current folder, else whole."""
    text = os.fspath(path)
    if text.startswith(SQLITE):
        return SQLITE + abbreviate(text.removeprefix(SQLITE))
    if "://" in text:
        return text
    relative = os.path.relpath(text)
    return text if relative.startswith("..") else relative


def _day(night: NightSummary) -> str:
    # Midnight in Madrid is on the day before in UTC; half a day later it is the same day.
    return f"{night.cutoff + timedelta(hours=12):%Y-%m-%d}"


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
