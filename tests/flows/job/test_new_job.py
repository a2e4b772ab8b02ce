"""From somebody's own file or table to a job that can be checked and run."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from flows.deployments.dispatch import run_night
from flows.job.job import JobError, load_job
from flows.job.new_job import NewJob, make_job
from flows.night.check import check_job
from sql.engine.connection import connect, resolve_url
from sql.errors import SourceError, StorageError
from sql.imports.file_format import FileFormat
from sql.imports.import_file import import_file
from tasks.guide.proposal import GuideError, Wishes


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder in which the user works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTCAST_JOBS", raising=False)
    return tmp_path


@pytest.fixture
def daily(folder):
    """Daily sales of two shops in two regions, with promotions that are planned for two weeks."""
    rng, days = np.random.default_rng(0), pd.date_range("2024-01-01", periods=114)
    known = np.arange(114) < 100
    frames = [
        pd.DataFrame(
            {
                "shop": shop,
                "region": region,
                "sold_on": days.strftime("%Y-%m-%d"),
                "units": pd.Series(rng.poisson(20, 114), dtype="Int64").where(known),
                "promotion": rng.integers(0, 2, 114),
            }
        )
        for shop, region in (("007", "north"), ("008", "north"), ("009", "south"))
    ]
    pd.concat(frames).to_csv("daily sales.csv", index=False)
    return "daily sales.csv"


@pytest.fixture
def hourly(folder):
    """The load of a grid in two zones, with the offset of each time, over a change of the clocks."""
    hours = pd.date_range("2024-03-01", periods=24 * 50, freq="h", tz="Europe/Madrid")
    frames = [
        pd.DataFrame({"area": area, "time": [hour.isoformat() for hour in hours], "load_mw": np.sin(hours.hour) - 2.5})
        for area in ("A", "B")
    ]
    pd.concat(frames).to_csv("load.csv", index=False)
    return "load.csv"


@pytest.fixture
def monthly(folder):
    """Counts by month, without an id."""
    months = pd.date_range("2015-01-01", periods=90, freq="MS")
    frame = pd.DataFrame({"month": months.strftime("%Y-%m-%d"), "visits": np.arange(90) % 12})
    frame.to_csv("counts.csv", index=False)
    return "counts.csv"


def made(given, **asked):
    return make_job(NewJob(given, **asked))


def checked(result, series, observed):
    found = check_job(result.file)
    assert found.problems == []
    assert (found.audit.series, found.audit.observed) == (series, observed)
    return load_job(result.file).job


def test_daily_sales_with_promotions_become_a_job_that_check_finds_ready(daily, folder):
    result = made(daily)
    assert result.file == folder / "jobs" / "daily-sales.yaml"
    assert (result.rows, result.loaded) == (342, f"table daily_sales of sqlite:///{folder}/daily-sales.db")
    assert result.next == [
        "nightcast check daily-sales",
        "nightcast run daily-sales",
        "nightcast schedule daily-sales '0 3 * * *'",
        "nightcast serve",
    ]
    job = checked(result, 3, 300)
    assert (job.source.series_id, job.source.timestamp, job.source.value) == (["shop"], "sold_on", "units")
    assert (job.source.static, job.source.known_future) == (["region"], ["promotion"])
    assert (job.forecast.frequency, job.forecast.horizon, job.forecast.lower_bound) == ("D", 14, 0)
    # The file names its source from the folder where it lies.
    assert job.source.url == "sqlite:///../daily-sales.db"
    with closing(sqlite3.connect("daily-sales.db")) as database:
        assert database.execute("SELECT min(shop) FROM daily_sales").fetchone() == ("007",)


def test_an_hourly_load_with_offsets_becomes_a_job_without_a_bound(hourly):
    job = checked(made(hourly, wishes=Wishes(time_zone="Europe/Madrid", horizon=24)), 2, 2_400)
    assert (job.source.series_id, job.source.timestamp, job.source.value) == (["area"], "time", "load_mw")
    forecast = job.forecast
    assert (forecast.frequency, forecast.horizon, forecast.time_zone) == ("h", 24, "Europe/Madrid")
    assert forecast.lower_bound is None


def test_monthly_counts_without_an_id_become_a_single_series_that_runs(monthly):
    result = made(monthly)
    job = checked(result, 1, 90)
    assert (job.forecast.frequency, job.forecast.horizon) == ("MS", 12)
    assert job.source.query == 'SELECT \'counts\' AS series_id, "month", "visits" FROM "counts"'
    # So short a history gets the fallback, which needs no training.
    text = result.file.read_text(encoding="utf-8").replace("  horizon:", "  min_history: 1000\n  horizon:")
    result.file.write_text(text, encoding="utf-8")
    night = run_night(result.file)
    assert (night.series, night.fallback_series, night.rows) == (1, 1, 12)


def test_a_parquet_file_is_read_as_it_is(daily, folder):
    pd.read_csv(daily, dtype={"shop": str}, parse_dates=["sold_on"]).to_parquet("daily.parquet")
    result = made("daily.parquet")
    job = checked(result, 3, 300)
    assert (job.source.url, job.source.table, result.loaded) == ("parquet:///..", "daily", "")
    assert sorted(os.listdir(folder)) == ["daily sales.csv", "daily.parquet", "jobs"]


def test_a_parquet_file_without_an_id_is_loaded_so_that_a_query_can_give_it_one(monthly):
    pd.read_csv(monthly, parse_dates=["month"]).to_parquet("counts.parquet")
    result = made("counts.parquet")
    assert checked(result, 1, 90).source.query is not None
    assert result.rows == 90


def test_a_table_of_a_database_is_read_as_it_is(database_url, daily):
    import_file(Path(daily), resolve_url(database_url), "sales")
    result = made(database_url, name="shops")
    job = checked(result, 3, 300)
    assert (job.source.table, job.source.known_future) == ("sales", ["promotion"])
    assert result.rows is None


def test_a_password_stays_out_of_the_job_file(postgres_url, daily, monkeypatch):
    import_file(Path(daily), resolve_url(postgres_url), "sales")
    url = sa.make_url(postgres_url).set(password="hunter2-and-more").render_as_string(hide_password=False)
    result = made(url, name="2-shops")
    text = result.file.read_text(encoding="utf-8")
    assert "hunter2" not in text
    assert result.variables == ["JOB_2_SHOPS_URL"]
    assert 'url: "${JOB_2_SHOPS_URL}"' in text
    monkeypatch.setenv("JOB_2_SHOPS_URL", url)
    checked(result, 3, 300)


def test_a_file_goes_into_the_database_that_is_named(postgres_url, daily):
    result = made(daily, to=postgres_url, table="sold")
    assert checked(result, 3, 300).source.url == postgres_url
    with connect(resolve_url(postgres_url)).connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM sold")) == 342


def test_a_wide_file_becomes_long(folder):
    days = pd.date_range("2024-01-01", periods=60).strftime("%Y-%m-%d")
    pd.DataFrame({"day": days} | {f"shop {i}": np.arange(60) + i for i in range(30)}).to_csv("wide.csv", index=False)
    with pytest.raises(SourceError, match="--wide"):
        made("wide.csv")
    assert os.listdir(folder) == ["wide.csv"]
    checked(made("wide.csv", said=FileFormat(wide=True)), 30, 1_800)


def test_a_job_file_that_is_there_stays_as_it_is(monthly, folder):
    first = made(monthly)
    before = first.file.read_bytes()
    with pytest.raises(JobError, match=r"already a job file .*counts\.yaml.* another name \(--name\)"):
        made(monthly)
    assert first.file.read_bytes() == before
    with pytest.raises(JobError, match=r"already a table 'counts' in sqlite:.*\(--table, --name or --to\)"):
        made(monthly, name="other", to="sqlite:///counts.db", table="counts")
    assert os.listdir("jobs") == ["counts.yaml"]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"given": "counts.csv", "name": "Bad/Name"}, JobError, "'Bad/Name' cannot be the name of a job"),
        ({"given": "counts.csv", "name": "2024"}, JobError, "cannot be the name of a job"),
        ({"given": "missing.csv"}, SourceError, "There is no file missing.csv"),
        ({"given": "counts.csv", "wishes": Wishes(value="sold")}, GuideError, "has no column 'sold'"),
        ({"given": "sqlite:///missing.db"}, SourceError, "There is no SQLite file"),
        ({"given": "nonsense://x/y", "table": "t"}, SourceError, "SQLAlchemy knows no database"),
        ({"given": "sqlite:///a.db", "to": "sqlite:///b.db"}, JobError, "is not loaded anywhere"),
        ({"given": "counts.csv", "to": "parquet:///x"}, SourceError, "can be a source, but not an output"),
        ({"given": "counts.csv", "to": "postgresql://nobody@127.0.0.1:1/x"}, StorageError, "Could not reach"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_cannot_become_a_job_leaves_nothing(monthly, folder, asked, error, words):
    with pytest.raises(error, match=words):
        make_job(NewJob(**asked))
    assert os.listdir(folder) == ["counts.csv"]


def test_a_database_file_that_is_none_stays_as_it_is_and_gets_no_job(folder):
    lines = [f"a,2024-01-{1 + i % 28:02},{i}" for i in range(20)]
    (folder / "a.csv").write_text("\n".join(["id,day,units", *lines]), encoding="utf-8")
    (folder / "a.db").write_text("no database at all, but a text of some length", encoding="utf-8")
    with pytest.raises(StorageError):
        made("a.csv")
    assert sorted(os.listdir(folder)) == ["a.csv", "a.db"]


def test_a_load_that_fails_takes_its_job_file_with_it(monthly, folder, monkeypatch):
    def broken(*_, **__):
        raise StorageError("The disk went away.")

    monkeypatch.setattr("flows.job.new_job.import_file", broken)
    with pytest.raises(StorageError, match="went away"):
        made(monthly)
    assert os.listdir(folder) == ["counts.csv"]


def test_a_folder_that_cannot_be_made_is_named(monthly, folder):
    with pytest.raises(JobError, match=r"counts\.yaml cannot be written: .* \(--jobs\)"):
        made(monthly, folder=folder / "counts.csv" / "jobs")
    with pytest.raises(JobError, match=r"counts\.yaml cannot be written: one of its folders is a file"):
        made(monthly, folder=folder / "counts.csv")
    assert os.listdir(folder) == ["counts.csv"]


def test_a_job_elsewhere_is_named_by_its_path(monthly, folder):
    result = made(monthly, folder=folder / "my jobs")
    assert result.next[0] == "nightcast check 'my jobs/counts.yaml'"
    checked(result, 1, 90)


def test_a_table_of_duckdb_without_an_id_is_read_by_a_query(monthly, folder):
    import duckdb

    with closing(duckdb.connect("counts.duckdb")) as connection:
        connection.execute("CREATE TABLE of_month AS SELECT * FROM 'counts.csv'")
        connection.execute("CREATE TABLE notes (text TEXT)")
    result = made("duckdb:///counts.duckdb")
    job = checked(result, 1, 90)
    assert (result.name, job.source.url) == ("of_month", "duckdb:///../counts.duckdb")
    assert job.source.query == 'SELECT \'of_month\' AS series_id, "month", "visits" FROM "of_month"'


def test_the_only_parquet_file_of_a_folder_is_its_table(daily, folder):
    (folder / "lake").mkdir()
    pd.read_csv(daily, dtype={"shop": str}, parse_dates=["sold_on"]).to_parquet("lake/daily.parquet")
    assert checked(made("parquet:///lake"), 3, 300).source.url == "parquet:///../lake"


def test_a_parquet_url_without_an_id_names_the_remedy(monthly, folder):
    (folder / "lake").mkdir()
    pd.read_csv(monthly, parse_dates=["month"]).to_parquet("lake/counts.parquet")
    with pytest.raises(JobError, match=r"Parquet files cannot answer a query.* \(--series-id\)"):
        made("parquet:///lake")
