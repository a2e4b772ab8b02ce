"""The demo: an example source, its job file, and two nights four weeks apart.

The first night trains. The second finds four weeks of actuals that the first could not see,
so it scores the first night's forecasts, and then makes its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from shutil import copyfile
from typing import Any

from flows.job.job import LoadedJob, load_job
from flows.job.moments import to_moment
from flows.night.request import NightRequest, RunNight
from flows.night.summary import NightSummary
from tasks.night.ledger import Ledger
from tasks.reading.example_source import DAYS_AHEAD, FIRST_DAY, LAST_DAY, make_example_source

JOB_FILE = "store-sales.yaml"
SQLITE = "sqlite:///"
EXAMPLE = Path(__file__).with_name(JOB_FILE)
# Metric as the score table names it, and as the demo's reader does.
SHOWN = {
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
        source_rows: Its rows.
        nights: The nights that ran now, oldest first.
        scores: Rows of `score` over all steps and series of the older night's forecast.
        scored_cutoff: That night, as a day.
    """

    job_file: Path
    source: Path
    source_rows: int
    nights: tuple[NightSummary, ...]
    scores: tuple[Mapping[str, Any], ...]
    scored_cutoff: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
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
        """What was made, how good it was, and where it lies."""
        newest = self.nights[-1]
        return "\n".join(
            [
                f"{self.source_rows:,} rows of {newest.series} made-up daily series "
                f"({FIRST_DAY} to {LAST_DAY}) in {shown(self.source)}",
                "",
                *self._night_lines(),
                "",
                *self._score_lines(),
                "",
                "Where it lies",
                f"  {'job file':<10}{shown(self.job_file)}",
                f"  {'tables':<10}{shown(newest.tables)}",
                f"  {'parquet':<10}{shown(newest.parquet)}",
                f"  {'report':<10}{shown(newest.report)}",
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
        title = f"Forecast of {self.scored_cutoff}, against what came"
        lines = [f"{title:<44}{'model':>10}{'seasonal naive':>17}"]
        for metric, words in SHOWN.items():
            row = known.get(metric)
            # A metric that could not be scored is shown as such, not left out.
            cells = [_figure(row["value"]), _figure(row["baseline_value"])] if row else ["not evaluated", ""]
            lines.append(f"  {words:<42}{cells[0]:>10}{cells[1]:>17}")
        for metric in sorted(name for name in known if name.startswith("coverage_")):
            words = f"inside the {metric.removeprefix('coverage_')} % interval"
            lines.append(f"  {words:<42}{known[metric]['value']:>10.0%}")
        return lines


@dataclass(frozen=True)
class Example:
    """The example job's file, its source, and the rows of that."""

    job_file: Path
    source: Path
    source_rows: int


def make_example(folder: Path) -> Example:
    """Make the example source and its job in a folder, and run nothing; a job file that is there stays as it is."""
    source, rows = make_example_source(folder)
    job_file = folder / JOB_FILE
    if not job_file.exists():
        copyfile(EXAMPLE, job_file)
    return Example(job_file, source, rows)


def run_demo(
    folder: Path, run_night: RunNight, on_progress: Callable[[str], None] = lambda message: None
) -> DemoResult:
    """Make the example source and its job in a folder, and run the nights that are missing, and the newest.

    A job file that is there already stays as it is: a reader may have changed it.

    Args:
        folder: Where the demo goes; made where it is missing.
        run_night: Runs one night.
        on_progress: Called with what happens next, in words.

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


def shown(path: str | Path) -> str:
    """A path or the URL of a SQLite file as people type it: from here where it is below, else whole."""
    text = os.fspath(path)
    if text.startswith(SQLITE):
        return SQLITE + shown(text.removeprefix(SQLITE))
    if "://" in text:
        return text
    relative = os.path.relpath(text)
    return text if relative.startswith("..") else relative


def _day(night: NightSummary) -> str:
    # Midnight of the job's zone is a moment of the day before in UTC; half a day on it is the day itself.
    return f"{night.cutoff + timedelta(hours=12):%Y-%m-%d}"


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
