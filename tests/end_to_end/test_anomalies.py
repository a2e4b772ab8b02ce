"""Anomalies: what nights store of actuals that their forecasts did not expect."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.engine.connection import connect, transaction
from sql.engine.url import resolve_url

MADRID = ZoneInfo("Europe/Madrid")
# Too short for the network: no training is needed to see what a night stores.
FALLBACK = {"min_history": 100_000, "horizon": 3, "time_zone": "Europe/Madrid"}
NIGHTS = ("2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04")


@pytest.fixture
def make_noisy_job(make_noisy_job_at, database_url):
    """As `make_noisy_job_at`, on SQLite and on PostgreSQL."""
    return partial(make_noisy_job_at, database_url)


@pytest.fixture
def make_noisy_sqlite_job(make_noisy_job_at):
    """As `make_noisy_job_at`, in files of SQLite: for tests of many nights."""
    return partial(make_noisy_job_at, None)


@pytest.fixture
def make_noisy_job_at(make_job, monkeypatch, without_plots):
    """Makes a job of noisy series that only the fallback forecasts, without reports; `changes` are added to values."""
    monkeypatch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)

    def make(url: str | None, changes: dict[tuple[str, str], float] | None = None, **parts):
        rows = noisy("abcd")
        for (name, day), change in (changes or {}).items():
            rows.loc[(rows["series_id"] == name) & (rows["day"] == day), "value"] += change
        monitor = {"segments": [], **parts.pop("monitor", {})}
        return make_job(rows, url=url, forecast=FALLBACK, monitor=monitor, source={"static": []}, **parts)

    return make


def noisy(series: str) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=60)
    return pd.concat(
        [pd.DataFrame({"series_id": name, "day": days, "value": 100 + rng.normal(0, 5, 60)}) for name in series],
        ignore_index=True,
    )


def night(job, day: str):
    return run_night(job, cutoff=datetime.fromisoformat(day).replace(tzinfo=MADRID))


def query(job, statement: str) -> pd.DataFrame:
    with load_job(job).places.engine().connect() as connection:
        return pd.read_sql(sa.text(statement), connection)


def anomalies(job) -> dict[tuple[str, str], tuple[str, str]]:
    """(Series, local day) of each anomaly to its direction and the local day since when."""
    rows = query(job, "SELECT * FROM anomaly")
    return {
        (str(row.series_id), _day(row.timestamp)): (str(row.direction), _day(row.since)) for row in rows.itertuples()
    }


def _day(moment) -> str:
    return str(pd.Timestamp(moment).tz_localize("UTC").tz_convert(MADRID) if pd.Timestamp(moment).tzinfo is None
               else pd.Timestamp(moment).tz_convert(MADRID))[:10]  # fmt: skip


def set_value(job, series: str, day: str, value: float) -> None:
    until = date.fromisoformat(day) + timedelta(days=1)
    statement = "UPDATE history SET value = :value WHERE series_id = :series AND day >= :day AND day < :until"
    statement = statement.replace(":day", f"'{day}'").replace(":until", f"'{until}'")
    with transaction(connect(resolve_url(load_job(job).job.source.url, job.parent))) as connection:
        assert connection.execute(sa.text(statement), {"value": value, "series": series}).rowcount == 1


def test_a_spike_and_a_drop_are_anomalies_and_nothing_else_is(make_noisy_job):
    job = make_noisy_job({("a", "2024-02-02"): 900.0, ("b", "2024-02-03"): -900.0})
    for day in NIGHTS:
        night(job, day)

    assert anomalies(job) == {
        ("a", "2024-02-02"): ("above", "2024-02-02"), ("b", "2024-02-03"): ("below", "2024-02-03"),
    }  # fmt: skip
    spike = query(job, "SELECT * FROM anomaly WHERE series_id = 'a'").iloc[0]
    # The newest night before it judges it, by its first step.
    judge = query(job, "SELECT * FROM forecast_vs_actual WHERE series_id = 'a' AND step = 1 ORDER BY cutoff").iloc[0]
    assert [spike[name] for name in ("cutoff", "timestamp", "expected", "actual")] == [
        judge[name] for name in ("cutoff", "timestamp", "median", "actual")
    ]
    assert 0 < spike["probability"] <= 0.001
    assert spike["model_version"] is None
    rates = query(job, "SELECT * FROM anomaly_rate ORDER BY evaluated_on")
    # The first night has no earlier one that forecast.
    assert rates[["actuals", "anomalies"]].to_numpy().tolist() == [[4, 1], [4, 1], [4, 0]]
    assert {*rates["state"]} == {"ok"}
    counts = [json.loads(each) if isinstance(each, str) else each for each in rates["tail_counts"]]
    assert [sum(each.values()) for each in counts] == [4, 4, 4]


def test_a_level_shift_is_one_run_and_a_revision_divides_it(make_noisy_job):
    shift = {("a", f"2024-02-0{day}"): 900.0 * 9**day for day in range(2, 6)}
    job = make_noisy_job(shift, monitor={"rescore_steps": 20})
    for day in (*NIGHTS, "2024-02-05"):
        night(job, day)
    days = [f"2024-02-0{day}" for day in range(2, 6)]
    assert anomalies(job) == {("a", day): ("above", "2024-02-02") for day in days}

    set_value(job, "a", "2024-02-03", 100.0)
    night(job, "2024-02-05")

    since = {"2024-02-02": "2024-02-02", "2024-02-04": "2024-02-04", "2024-02-05": "2024-02-04"}
    assert anomalies(job) == {("a", day): ("above", first) for day, first in since.items()}


def test_an_actual_that_is_revised_ten_times_is_judged_anew_each_time_and_counted_once(make_noisy_sqlite_job):
    job = make_noisy_sqlite_job()
    night(job, "2024-02-01")
    night(job, "2024-02-02")
    assert anomalies(job) == {}
    for revision in range(10):
        set_value(job, "a", "2024-02-02", 100.0 if revision % 2 else 2000.0 + revision)
        night(job, "2024-02-02")
        found = query(job, "SELECT actual FROM anomaly")["actual"].tolist()
        assert found == ([] if revision % 2 else [2000.0 + revision])
    assert query(job, "SELECT actuals, anomalies FROM anomaly_rate").to_numpy().tolist() == [[4, 0]]


def test_an_actual_that_arrives_a_month_late_is_judged_by_the_night_before_it(make_noisy_sqlite_job):
    job = make_noisy_sqlite_job({("b", "2024-01-22"): 900.0}, monitor={"rescore_steps": 40})
    with transaction(connect(resolve_url(load_job(job).job.source.url, job.parent))) as connection:
        connection.execute(sa.text("UPDATE history SET value = NULL WHERE series_id = 'b' AND value > 900"))
    for day in ("2024-01-21", "2024-01-22", "2024-02-20"):
        night(job, day)
    assert anomalies(job) == {}
    with transaction(connect(resolve_url(load_job(job).job.source.url, job.parent))) as connection:
        connection.execute(sa.text("UPDATE history SET value = 1000 WHERE series_id = 'b' AND value IS NULL"))
    night(job, "2024-02-21")
    assert anomalies(job) == {("b", "2024-01-22"): ("above", "2024-01-22")}
    [row] = query(job, "SELECT cutoff, evaluated_on FROM anomaly").itertuples(index=False)
    assert (_day(row.cutoff), _day(row.evaluated_on)) == ("2024-01-21", "2024-02-21")


def test_a_job_that_judges_no_actuals_stores_them_all_the_same(make_noisy_sqlite_job):
    job = make_noisy_sqlite_job({("a", "2024-02-02"): 900.0}, anomalies={"enabled": False})
    for day in NIGHTS[:2]:
        night(job, day)
    assert len(query(job, "SELECT * FROM actual")) == 4
    assert anomalies(job) == {}
    assert query(job, "SELECT * FROM anomaly_rate").empty
