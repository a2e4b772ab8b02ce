"""Actuals beside forecasts: what nights store of them, and what the view `forecast_vs_actual` shows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
import yaml

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.engine.connection import connect, transaction
from sql.engine.url import resolve_url

MADRID = ZoneInfo("Europe/Madrid")
DAYS = pd.date_range("2024-01-01", periods=60)
# Too short for the network: no training is needed to see what a night stores.
FALLBACK = {"min_history": 100_000, "horizon": 3, "time_zone": "Europe/Madrid"}


@pytest.fixture
def make_small_job(make_job, database_url, monkeypatch, without_plots):
    """Makes a job that only the fallback forecasts, without reports, which take most of the time of a small night."""
    monkeypatch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)

    def make(frame: pd.DataFrame | None = None, **parts):
        parts["forecast"] = {**FALLBACK, **parts.get("forecast", {})}
        parts["source"] = {"static": [], **parts.get("source", {})}
        monitor = {"segments": [], **parts.pop("monitor", {})}
        return make_job(daily() if frame is None else frame, url=database_url, monitor=monitor, **parts)

    return make


def daily(series: tuple[str, ...] = ("a", "b")) -> pd.DataFrame:
    """Sixty days, each value of its own, with digits that a float32 does not have."""
    frames = [
        pd.DataFrame({"series_id": name, "day": DAYS, "value": size + np.arange(60) * 1.1 + np.arange(60) % 7})
        for size, name in enumerate(series, 1)
    ]
    return pd.concat(frames, ignore_index=True)


def values_by_day(frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    """The value of each series on each day, such as `("a", "2024-01-01")`."""
    return {(str(row.series_id), str(row.day)[:10]): float(str(row.value)) for row in frame.itertuples()}


def night(job, day: str, zone: ZoneInfo = MADRID, **options):
    """One night with the cutoff at the midnight of a day."""
    return run_night(job, cutoff=datetime.fromisoformat(day).replace(tzinfo=zone), **options)


def seen(job, columns: str = "*", where: str = "1 = 1") -> pd.DataFrame:
    """Rows of the view, by cutoff, series and step."""
    query = f"SELECT {columns} FROM forecast_vs_actual WHERE {where} ORDER BY cutoff, series_id, step"
    with load_job(job).places.engine().connect() as connection:
        return pd.read_sql(sa.text(query), connection)


def change_source(job, statement: str, **values) -> None:
    with transaction(connect(resolve_url(load_job(job).job.source.url, job.parent))) as connection:
        connection.execute(sa.text(statement), values)


def day_is(day: str) -> str:
    """A condition on a row of the source, which holds times."""
    return f"day >= '{day}' AND day < '{date.fromisoformat(day) + timedelta(days=1)}'"


def days_of(column: pd.Series) -> list[str]:
    return [str(value)[:10] for value in column]


def test_each_forecast_stands_beside_the_actual_of_its_own_day(make_small_job):
    job, history = make_small_job(), values_by_day(daily())
    for day in ("2024-02-01", "2024-02-02", "2024-02-03"):
        night(job, day)

    rows = seen(job)

    assert len(rows) == 3 * 2 * 3
    first = rows[days_of(rows["cutoff"]) == np.array("2024-01-31")]
    # Midnight in Madrid is an hour before that in UTC.
    assert {str(value)[11:16] for value in first["timestamp"]} == {"23:00"}
    assert days_of(first["local_date"]) == ["2024-02-02", "2024-02-03", "2024-02-04"] * 2
    assert {str(value)[11:] for value in first["local_time"].astype(str)} <= {"", "00:00:00"}
    assert first["actual"].isna().tolist() == [False, False, True] * 2
    known = rows[rows["actual"].notna()]
    assert len(known) == 6
    expected = [history[str(row.series_id), str(row.local_date)[:10]] for row in known.itertuples()]
    # Exactly what the source has, and not the nearest float32.
    assert known["actual"].tolist() == [pytest.approx(value, rel=1e-12) for value in np.round(expected, 6)]
    assert (known["error"] - (known["median"] - known["actual"])).abs().max() < 1e-12
    inside = (known["actual"] >= known["q0_1"]) & (known["actual"] <= known["q0_9"])
    assert known["inside"].astype(bool).tolist() == inside.tolist()
    assert rows[rows["actual"].isna()][["error", "inside", "evaluated_on"]].isna().all(axis=None)
    assert {"mean", "baseline", "model_version", "source"} <= {*rows.columns}


def test_the_naive_join_on_a_local_day_finds_every_row_on_both_databases(make_small_job):
    job = make_small_job()
    for day in ("2024-02-01", "2024-02-04"):
        night(job, day)
    source = "SELECT series_id, value, CAST(day AS DATE) AS day FROM history"
    if load_job(job).places.engine().dialect.name == "sqlite":
        source = "SELECT series_id, value, DATE(day) AS day FROM history"
    query = (
        f"SELECT v.actual, h.value FROM forecast_vs_actual v JOIN ({source}) h "
        "ON h.series_id = v.series_id AND h.day = v.local_date WHERE v.actual IS NOT NULL"
    )
    with load_job(job).places.engine().connect() as connection:
        pairs = connection.execute(sa.text(query)).all()
    assert len(pairs) == 6
    assert [actual for actual, _ in pairs] == pytest.approx([value for _, value in pairs])


def test_an_actual_that_is_revised_ten_times_is_followed_and_stays_one_row(make_small_job):
    job = make_small_job()
    night(job, "2024-02-01")
    for revision in range(10):
        change_source(job, f"UPDATE history SET value = :value WHERE series_id = 'a' AND {day_is('2024-02-02')}",
                      value=100.5 + revision)  # fmt: skip
        night(job, f"2024-02-{2 + revision // 2:02d}")
        rows = seen(job, "actual, evaluated_on", "series_id = 'a' AND step = 1 AND actual < 200 AND actual >= 100")
        assert rows["actual"].tolist() == [100.5 + revision]
    with load_job(job).places.engine().connect() as connection:
        stored = connection.execute(sa.text("SELECT series_id, timestamp, COUNT(*) FROM actual GROUP BY 1, 2")).all()
    assert {count for *_, count in stored} == {1}
    # Nothing else was revised: the other series' rows name the night that saw them first.
    other = seen(job, "local_date, evaluated_on", "series_id = 'b' AND step = 1 AND actual IS NOT NULL")
    midnights = [
        datetime.fromisoformat(day).replace(tzinfo=MADRID).astimezone(UTC) for day in days_of(other["local_date"])
    ]
    assert [str(value)[:13] for value in other["evaluated_on"]] == [f"{each:%Y-%m-%d %H}" for each in midnights]


def test_an_actual_that_the_source_takes_back_is_gone_and_one_that_comes_late_appears(make_small_job):
    job = make_small_job(monitor={"rescore_steps": 40})
    change_source(job, f"DELETE FROM history WHERE series_id = 'b' AND {day_is('2024-01-03')}")
    night(job, "2024-01-02")
    night(job, "2024-01-05")
    where = "local_date = '2024-01-03'"
    assert seen(job, "series_id, actual", where)["actual"].isna().tolist() == [False, True]
    change_source(job, f"DELETE FROM history WHERE series_id = 'a' AND {day_is('2024-01-03')}")
    change_source(job, "INSERT INTO history (series_id, day, value) VALUES ('b', '2024-01-03 00:00:00', 7.5)")
    # A month later.
    night(job, "2024-02-05")
    rows = seen(job, "series_id, actual, evaluated_on", where)
    assert rows["actual"].isna().tolist() == [True, False]
    assert rows["actual"][1] == 7.5
    assert str(rows["evaluated_on"][1])[:10] == "2024-02-04"


def test_a_past_night_that_runs_again_as_of_its_time_leaves_what_later_nights_saw(make_small_job):
    frame = daily(("a",)).assign(loaded_at=lambda rows: rows["day"] + pd.Timedelta(hours=30))
    revised = frame[frame["day"] == "2024-02-02"].assign(value=500.0, loaded_at=pd.Timestamp("2024-02-06 12:00"))
    job = make_small_job(pd.concat([frame, revised]), source={"static": [], "recorded_at": "loaded_at"})
    for day in ("2024-02-01", "2024-02-03", "2024-02-07"):
        night(job, day)
    where = "local_date = '2024-02-02' AND step = 1"
    assert seen(job, "actual", where)["actual"].tolist() == [500.0]
    night(job, "2024-02-03")
    assert seen(job, "actual", where)["actual"].tolist() == [500.0]
    night(job, "2024-02-07")
    assert seen(job, "actual", where)["actual"].tolist() == [500.0]


def test_actuals_go_with_the_last_night_that_forecast_them(make_small_job):
    job = make_small_job(output={"keep_days": 35})
    for day in ("2024-01-10", "2024-01-11", "2024-01-14", "2024-02-20"):
        night(job, day)
    engine = load_job(job).places.engine()
    with engine.connect() as connection:
        oldest = connection.execute(sa.text("SELECT MIN(cutoff), COUNT(*) FROM publication")).one()
        actuals = connection.execute(sa.text("SELECT MIN(timestamp), COUNT(*) FROM actual")).one()
    if engine.dialect.name == "postgresql":
        # Whole months only.
        assert (oldest[1], actuals[1]) == (4, 2 * (4 + 3))
        return
    assert (str(oldest[0])[:10], oldest[1]) == ("2024-02-19", 1)
    assert actuals[1] == 0


def test_the_hour_that_the_clocks_show_twice_has_two_actuals(make_small_job):
    change = datetime(2024, 10, 27, 1, tzinfo=UTC)
    instants = [change + timedelta(hours=hour) for hour in range(-96, 12)]
    frame = pd.DataFrame({"series_id": "a", "day": instants, "value": np.arange(len(instants)) + 0.5})
    job = make_small_job(frame, forecast={"frequency": "h", "horizon": 6, "season_lengths": [24]})
    cutoff = change - timedelta(hours=3)
    run_night(job, cutoff=cutoff)
    run_night(job, cutoff=change + timedelta(hours=6))
    rows = seen(job, "timestamp, local_time, local_date, actual", "step <= 6 AND actual < 100")
    clock = [str(value)[11:16] for value in rows["local_time"].astype(str)]
    assert clock == ["01:00", "02:00", "02:00", "03:00", "04:00", "05:00"]
    assert days_of(rows["local_date"]) == ["2024-10-27"] * 6
    assert rows["actual"].tolist() == [94.5, 95.5, 96.5, 97.5, 98.5, 99.5]
    assert rows["timestamp"].is_unique


def test_a_job_whose_zone_changes_never_shows_the_actual_of_another_day(make_small_job):
    job = make_small_job()
    for day in ("2024-02-01", "2024-02-02"):
        night(job, day)
    content = yaml.safe_load(job.read_text())
    content["forecast"]["time_zone"] = "UTC"
    job.write_text(yaml.safe_dump(content))
    for day in ("2024-02-03", "2024-02-04"):
        night(job, day, ZoneInfo("UTC"))
    history = values_by_day(daily())
    known = seen(job, where="actual IS NOT NULL")
    assert sorted({*days_of(known["local_date"])}) == ["2024-02-02", "2024-02-04"]
    expected = [history[str(row.series_id), str(row.local_date)[:10]] for row in known.itertuples()]
    assert known["actual"].tolist() == pytest.approx(expected)


def test_aggregates_stand_beside_the_sum_of_what_was_observed(make_small_job):
    rows = daily(("Madrid", "Bilbao")).rename(columns={"series_id": "store"})
    frame = pd.concat([rows.assign(item="a/b"), rows.assign(item="*", value=rows["value"] * 2)])
    job = make_small_job(frame, source={"series_id": ["store", "item"]}, hierarchy={"aggregates": [["store"], []]})
    night(job, "2024-02-01")
    night(job, "2024-02-02")
    actual = seen(job, "series_id, actual", "step = 1 AND actual IS NOT NULL").set_index("series_id")["actual"]
    assert {*actual.index} == {
        "Madrid/a\\/b",
        "Madrid/\\*",
        "Bilbao/a\\/b",
        "Bilbao/\\*",
        "Madrid/*",
        "Bilbao/*",
        "*/*",
    }
    assert actual["Madrid/*"] == pytest.approx(actual["Madrid/a\\/b"] + actual["Madrid/\\*"])
    assert actual["*/*"] == pytest.approx(actual["Madrid/*"] + actual["Bilbao/*"])


def test_the_files_of_an_older_release_get_the_local_time_as_an_empty_column(make_small_job):
    job = make_small_job()
    first = night(job, "2024-02-01")
    [file] = load_job(job).places.base.glob("forecasts/job=small/*/part-0.parquet")
    pd.read_parquet(file, partitioning=None).drop(columns="local_time").to_parquet(file, index=False)
    night(job, "2024-02-02")
    assert first.state == "completed"
    whole = pd.read_parquet(file.parents[2]).sort_values(["cutoff", "series_id", "step"])
    assert whole["local_time"].isna().tolist() == [True] * 6 + [False] * 6
    assert whole["local_time"].iloc[-1] == pd.Timestamp("2024-02-05")
