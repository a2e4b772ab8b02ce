"""Nights on a source that is finer than the grid, and on a grid that begins where the source says."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from flows.job.job import JobError, load_job
from flows.night.backfill import Span, backfill_nights
from flows.night.backtest import backtest_job
from flows.night.night import run_here
from flows.night.request import NightRequest
from sql.output.tables import metadata

NETWORK = {"segment": 1, "layers": [{"cell": "gru", "units": 4}]}


def read(job, table: str) -> pd.DataFrame:
    with load_job(job).places.engine().connect() as connection:
        return pd.read_sql(sa.select(metadata.tables[table]), connection)


@pytest.fixture
def hourly() -> pd.DataFrame:
    """Two shops that sell one unit an hour, until five in the morning of 10 February."""
    hours = pd.date_range("2023-11-01", "2024-02-10 05:00", freq="h")
    return pd.concat(
        [pd.DataFrame({"series_id": shop, "day": hours, "value": 1.0, "region": "x"}) for shop in ("a", "b")]
    )


@pytest.mark.parametrize("cutoff", [None, "2024-02-09", "2024-02-10"])
def test_a_night_in_the_morning_counts_no_sales_of_today_as_a_day(make_job, hourly, cutoff):
    job = make_job(hourly, audit={"off_grid": "floor", "duplicates": "sum"}, network=NETWORK)
    before, tonight = (datetime(2024, 2, day, 5, 44, tzinfo=UTC) for day in (9, 10))
    run_here(NightRequest(job, now=before))
    night = run_here(NightRequest(job, cutoff=cutoff, now=tonight))
    assert night.cutoff == datetime(2024, 2, 9, tzinfo=UTC)
    scores = read(job, "score").query("metric == 'wape' and step == 1 and segment == 'all'")
    # Each day has 24 units, and the forecast of the night before knew it.
    assert scores["value"].tolist() == [pytest.approx(0, abs=0.05)]
    assert scores["baseline_value"].tolist() == [0]


def test_fortnights_keep_the_grid_of_the_data_from_night_to_night(make_job):
    fridays = pd.date_range("2021-01-15", periods=80, freq="14D")
    values = 10 + np.sin(np.arange(80))
    frame = pd.concat(
        [pd.DataFrame({"series_id": name, "day": fridays, "value": values, "region": "x"}) for name in "abc"]
    )
    job = make_job(frame, forecast={"frequency": "2W-FRI", "horizon": 2}, network=NETWORK)
    nights = []
    for newest in (77, 78, 79):
        now = (fridays[newest] + pd.Timedelta("2D")).tz_localize("UTC").to_pydatetime()
        nights.append(run_here(NightRequest(job, now=now)))
    assert [pd.Timestamp(night.cutoff).tz_localize(None) for night in nights] == list(fridays[77:])
    forecast = read(job, "forecast")
    ahead = set(pd.to_datetime(forecast["timestamp"]).dt.tz_localize(None) - fridays[0])
    assert all(each % pd.Timedelta("14D") == pd.Timedelta(0) for each in ahead)
    assert not read(job, "score").empty
    assert backtest_job(job, 2).cutoffs[-1].date() == fridays[77].date()


def test_a_backfill_up_to_today_runs_no_night_twice(make_job):
    today = pd.Timestamp.now("UTC").normalize().tz_localize(None)
    days = pd.date_range(today - pd.Timedelta("60D"), today)
    frame = pd.DataFrame({"series_id": "a", "day": days, "value": 10.0 + days.day_of_week, "region": "x"})
    job, week_ago = make_job(frame, network=NETWORK), str(days[-4].date())
    ran = backfill_nights(job, Span(week_ago, str(today.date())), run_here)
    assert [night.cutoff.date() for night in ran.nights] == list(days[-4:-1].date)
    again = backfill_nights(job, Span(week_ago, str(today.date())), run_here)
    assert (again.nights, again.skipped) == ([], 3)
    with pytest.raises(JobError, match="No step of D that is over lies from"):
        backfill_nights(job, Span(str(today.date()), str(today.date())), run_here)
