"""Sources that say when a row became known: what past nights see of revisions, and what revisions do to scores."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night.backfill import Span, backfill_nights
from flows.night.night import run_here
from sql.engine.url import resolve_url
from sql.imports.import_file import import_file
from sql.output import history
from tasks.evaluation.backtest import BacktestRun, choose_cutoffs
from tasks.reading.covariates import covariates
from tasks.reading.read_series import Extent, read_series, seen_at
from tasks.store.rows_file import load_rows

DAYS = pd.date_range("2024-01-01", periods=42, freq="D")


def frame_of(*revisions: tuple[str, str, float, str]) -> pd.DataFrame:
    """Two series of 42 days, each row recorded at 20:00 of its day, and revisions (id, day, value, recorded)."""
    parts = [
        pd.DataFrame(
            {
                "series_id": name,
                "day": DAYS,
                "value": size * (1.0 + np.arange(42) % 7),
                "loaded_at": DAYS + pd.Timedelta(hours=20),
            }
        )
        for name, size in (("a", 1), ("b", 10))
    ]
    late = pd.DataFrame(revisions, columns=["series_id", "day", "value", "loaded_at"])
    late = late.astype({"day": DAYS.dtype, "loaded_at": DAYS.dtype})
    return pd.concat([*parts, late], ignore_index=True)


@pytest.fixture
def make_as_of_job(make_job, database_url, monkeypatch):
    """Makes a job that only the fallback forecasts, without reports, which take most of the time of a small night."""
    monkeypatch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)

    def make(*revisions: tuple[str, str, float, str], **source):
        parts = {"static": [], "recorded_at": "loaded_at", **source}
        # Too short for the network: no TensorFlow is needed to see what a night read.
        forecast = {"min_history": 1000, "horizon": 7}
        frame = frame_of(*revisions)
        return make_job(frame, url=database_url, source=parts, forecast=forecast, monitor={"segments": []})

    return make


def medians(job, day: str) -> list[float]:
    rows = history.forecast_of(load_job(job).places.engine(), "small", pd.Timestamp(day, tz="UTC").to_pydatetime())
    return rows.to_pandas().sort_values(["series_id", "step"])["median"].tolist()


def mae_of(job, day: str) -> float:
    [row] = [
        row
        for row in history.scores(load_job(job).places.engine(), "small", segment="all", metric="mae")
        if row["cutoff"] == pd.Timestamp(day, tz="UTC") and row["step"] == 0
    ]
    return row["value"]


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
REVISION = ("a", "2024-01-30", 100.0, "2024-02-06 09:00:00")


def test_a_backfilled_night_sees_no_revision_that_came_later(make_as_of_job):
    plain = make_as_of_job()
    run_night(plain, cutoff="2024-02-01")
    before = medians(plain, "2024-02-01")
    # Days of the season 1..7 follow each other: 1 February is the 32nd day, so the next one is the fifth of its week.
    assert before[:7] == [5.0, 6.0, 7.0, 1.0, 2.0, 3.0, 4.0]

    revised = make_as_of_job(REVISION)
    backfill_nights(revised, Span("2024-02-05", "2024-02-06"), run_here)
    run_night(revised, cutoff="2024-02-01")
    assert medians(revised, "2024-02-01") == before
    # 30 January is the 30th day, and comes again on 6 February at step 1 of the night of the fifth.
    assert medians(revised, "2024-02-05")[0] == 2.0
    # The night of the sixth knows the revision, but the newest value of that weekday is now the sixth's own.
    assert medians(revised, "2024-02-06")[6] == 2.0


@on_sqlite
def test_a_revised_row_changes_the_history_of_the_next_night(make_as_of_job):
    job = make_as_of_job(("a", "2024-02-11", 100.0, "2024-02-12 09:00:00"))
    # The last day is 11 February, the 42nd, the seventh of its week.
    run_night(job, now=datetime(2024, 2, 12, 8, tzinfo=UTC))
    assert medians(job, "2024-02-11")[6] == 7.0
    run_night(job, now=datetime(2024, 2, 12, 10, tzinfo=UTC))
    assert medians(job, "2024-02-11")[6] == 100.0


@on_sqlite
def test_a_night_that_runs_some_hours_later_knows_what_came_by_then(make_as_of_job):
    revision = ("a", "2024-02-01", 100.0, "2024-02-02 05:00:00")
    job = make_as_of_job(revision)
    run_night(job, cutoff="2024-02-01")
    assert medians(job, "2024-02-01")[6] == 4.0
    job.write_text(job.read_text().replace("recorded_at:", "delay_hours: 6\n  recorded_at:"), encoding="utf-8")
    assert yaml.safe_load(job.read_text())["source"]["delay_hours"] == 6
    run_night(job, cutoff="2024-02-01")
    assert medians(job, "2024-02-01")[6] == 100.0


@on_sqlite
def test_a_revision_of_weeks_ago_changes_the_scores_of_its_nights(make_as_of_job):
    # The value of 20 January is revised: it is 9 more than the sixth of its week.
    job = make_as_of_job(("a", "2024-01-20", 15.0, "2024-02-10 09:00:00"))
    for day in ("2024-01-14", "2024-01-21", "2024-02-09"):
        run_night(job, cutoff=day)
    assert mae_of(job, "2024-01-14") == 0.0
    run_night(job, cutoff="2024-02-10")
    # One of 14 points is 9 off.
    assert mae_of(job, "2024-01-14") == pytest.approx(9 / 14)
    # Run again as of then, the evaluation of 21 January does not bring the old actuals back.
    run_night(job, cutoff="2024-01-21")
    assert mae_of(job, "2024-01-14") == pytest.approx(9 / 14)


@on_sqlite
def test_a_backtest_shows_each_cutoff_what_was_known_then_and_scores_by_what_is_known_now(make_as_of_job, tmp_path):
    job = load_job(make_as_of_job(REVISION)).job
    now = datetime(2024, 3, 1, tzinfo=UTC)
    rows_file = read_series(job, tmp_path, Extent(), tmp_path)
    cutoffs = choose_cutoffs(BacktestRun(job, rows_file), 2, now)
    assert [cutoff.day for cutoff in cutoffs] == [28, 4]
    rows = load_rows(rows_file)
    for cutoff, expected in ((cutoffs[1], 2.0), (datetime(2024, 2, 6, tzinfo=UTC), 100.0)):
        seen = seen_at(rows, job.source, job.forecast, cutoff, now).to_pandas()
        [value] = seen[(seen["series_id"] == "a") & (seen["timestamp"] == "2024-01-30")]["value"]
        assert value == expected


@on_sqlite
def test_a_past_night_sees_the_weather_forecast_of_its_time(make_as_of_job, tmp_path):
    outlook = pd.DataFrame(
        {
            "day": pd.to_datetime(["2024-02-06", "2024-02-06"]),
            "warmth": [10.0, 25.0],
            "issued": pd.to_datetime(["2024-02-05 18:00", "2024-02-06 18:00"]),
        }
    )
    file = make_as_of_job(
        known_future_from={"table": "outlook", "columns": "warmth", "timestamp": "day", "recorded_at": "issued"}
    )
    loaded = load_job(file)
    outlook.to_parquet(tmp_path / "outlook.parquet", index=False)
    import_file(tmp_path / "outlook.parquet", resolve_url(loaded.job.source.url, loaded.base), "outlook", "replace")
    job, now = loaded.job, datetime(2024, 3, 1, tzinfo=UTC)

    for day, warmth in ((5, 10.0), (6, 25.0)):
        cutoff, evaluation = (datetime(2024, 2, day + later, tzinfo=UTC) for later in (0, 1))
        # A night reads what was known; a backtest reads everything, and shows each cutoff its part.
        for read_at, shown_at in (((cutoff, now), None), ((None, None), evaluation)):
            rows_file = read_series(job, loaded.base, Extent(*read_at), tmp_path)
            [known] = covariates(job.source, rows_file, shown_at).known_future_tables
            assert known["warmth"].to_pylist() == [warmth]
