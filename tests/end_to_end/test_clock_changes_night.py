"""Nights over a change of the clocks: local times or instants in the source, and the instants that are published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import select

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.engine.connection import transaction
from sql.output.tables import forecast

QUARTER = timedelta(minutes=15)
# Nobody has so many values: every series gets the fallback, the quarter of an hour a day before.
FALLBACK = {"min_history": 100_000}


def quarters(start: datetime, count: int, zone: ZoneInfo | None) -> pd.DataFrame:
    """Two series whose values count the quarters that have passed, at times of a zone's clock or, without one, UTC."""
    instants = [start + i * QUARTER for i in range(count)]
    times = [instant.astimezone(zone).replace(tzinfo=None) for instant in instants] if zone else instants
    columns = {"day": times, "value": [float(i) for i in range(count)], "region": "north"}
    frames = [pd.DataFrame({"series_id": name, **columns}) for name in ("a", "b")]
    # As a feed writes it: every time of all series, then the next.
    return pd.concat(frames).sort_values("value", kind="stable")


def published(job: Path, cutoff: datetime) -> list[tuple[str, int, datetime, float]]:
    """Id, step, timestamp and median of the rows in the table, which are those of the Parquet file."""
    night = run_night(job, cutoff=cutoff)
    columns = ["series_id", "step", "timestamp", "median"]
    statement = select(*(forecast.c[name] for name in columns)).where(forecast.c.cutoff == cutoff)
    with transaction(load_job(job).places.ready_engine()) as connection:
        rows = sorted(tuple(row) for row in connection.execute(statement))
    kept = pd.read_parquet(night.parquet)
    assert str(kept["timestamp"].dt.tz) == "UTC"
    assert sorted(kept[columns].itertuples(index=False, name=None)) == rows
    return rows


@pytest.mark.parametrize(
    ("written", "change"),
    [
        ("local", datetime(2024, 10, 27, 1, tzinfo=UTC)),
        ("instants", datetime(2024, 10, 27, 1, tzinfo=UTC)),
        ("local", datetime(2024, 3, 31, 1, tzinfo=UTC)),
    ],
    ids=["local, back", "instants, back", "local, forward"],
)
def test_a_night_within_a_change_of_the_clocks_loses_no_quarter_of_an_hour(make_job, database_url, written, change):
    madrid = ZoneInfo("Europe/Madrid")
    start = change - 300 * QUARTER
    job = make_job(
        quarters(start, 500, madrid if written == "local" else None),
        url=database_url,
        forecast={
            "frequency": "15min",
            "horizon": 100,
            "time_zone": "Europe/Madrid",
            "season_lengths": [96],
            **FALLBACK,
        },
    )
    # In October 02:15 comes at 00:15 and at 01:15 UTC; the second must not hide that 02:30 and 02:45 came before it.
    for cutoff in (change - 3 * QUARTER, change + QUARTER):
        newest = (cutoff - start) // QUARTER
        steps = range(1, 101)
        expected = [(step, cutoff + step * QUARTER, float(newest + step - 96 * -(-step // 96))) for step in steps]
        assert published(job, cutoff) == [(name, *row) for name in ("a", "b") for row in expected]


def test_days_whose_midnight_was_skipped_begin_at_the_first_instant_after_it(make_job, database_url):
    days = pd.date_range("2018-10-01", "2018-11-02")
    frame = pd.DataFrame({"series_id": "a", "day": days, "value": range(len(days)), "region": "north"})
    job = make_job(
        frame, url=database_url, forecast={"frequency": "D", "horizon": 4, "time_zone": "America/Sao_Paulo", **FALLBACK}
    )
    rows = published(job, datetime(2018, 11, 2, 3, tzinfo=UTC))
    # On the fourth the clocks went from 00:00 at UTC-3 to 01:00 at UTC-2.
    assert [f"{timestamp:%d %H:%M}" for _, _, timestamp, _ in rows] == ["03 03:00", "04 03:00", "05 02:00", "06 02:00"]
