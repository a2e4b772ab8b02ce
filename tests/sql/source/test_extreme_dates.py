"""Times that no calendar has: infinite ones, and years that Python, Arrow or a time grid cannot hold."""

from datetime import UTC, datetime

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest
import sqlalchemy as sa

from sql.source import database_reader
from sql.source.read import Source, first_timestamp, read_observations

EXTREMES = [
    "infinity", "-infinity", "0001-01-01", "1677-12-31", "2262-01-01", "0044-03-15 BC", "4713-01-01 BC", "9999-12-31",
    "10000-01-01", "294276-01-01", "5874897-01-01",
]  # fmt: skip
GOOD = datetime(2024, 1, 1)
MOMENT = datetime(2024, 1, 5, tzinfo=UTC)


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(database_reader, "adbc_source_connection", lambda url: None)


def extremes_of(kind):
    # Only a date of PostgreSQL goes beyond the year 294276.
    return EXTREMES if kind == "DATE" else EXTREMES[:-1]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
def test_postgresql_gives_extreme_times_as_null_beside_good_ones(postgres_url, kind):
    with psycopg.connect(postgres_url) as owner:
        owner.execute("SET TIME ZONE UTC")
        owner.execute(f"CREATE TABLE sales (series_id TEXT, timestamp {kind}, value FLOAT)")
        for i, extreme in enumerate(["2024-01-01", "1678-01-01", "2261-12-31", *extremes_of(kind)]):
            owner.execute("INSERT INTO sales VALUES ('a', %s, %s)", (extreme, i))
    source = Source(url=postgres_url, table="sales")
    rows = read_observations(source).sort_by("value")
    years = [None if moment is None else moment.year for moment in rows["timestamp"].to_pylist()]
    assert years == [2024, 1678, 2261] + [None] * len(extremes_of(kind))
    first = first_timestamp(source)
    assert first is not None
    assert first.replace(tzinfo=None) == datetime(1678, 1, 1)
    # With bounds, they lie outside.
    assert read_observations(source, since=datetime(2000, 1, 1, tzinfo=UTC), until=MOMENT)["value"].to_pylist() == [0.0]


@pytest.mark.usefixtures("way")
def test_sqlite_gives_extreme_texts_as_null_beside_good_ones(sqlite_url):
    texts = [*EXTREMES, "0000-00-00", "0000-00-00 00:00:00", "+12024-01-01", "-0044-03-15", "Infinity", "inf"]
    with sa.create_engine(sqlite_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE sales (series_id TEXT, timestamp TEXT, value REAL)")
        for i, text in enumerate(["2024-01-01", *texts]):
            connection.exec_driver_sql("INSERT INTO sales VALUES ('a', ?, ?)", (text, i))
    rows = read_observations(Source(url=sqlite_url, table="sales"))
    assert rows["timestamp"].to_pylist() == [GOOD] + [None] * len(texts)


def test_extreme_texts_do_not_count_as_times_without_an_offset(sqlite_url):
    with sa.create_engine(sqlite_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE sales (series_id TEXT, timestamp TEXT, value REAL)")
        connection.exec_driver_sql(
            "INSERT INTO sales VALUES ('a', '2024-01-01 00:00:00Z', 1), ('a', 'infinity', 2), ('a', '10000-01-01', 3)"
        )
    rows = read_observations(Source(url=sqlite_url, table="sales"))
    assert rows["timestamp"].to_pylist() == [GOOD.replace(tzinfo=UTC), None, None]


def test_duckdb_gives_extreme_times_as_null_beside_good_ones(tmp_path):
    for kind in ("DATE", "TIMESTAMP", "TIMESTAMPTZ"):
        with duckdb.connect(str(tmp_path / f"{kind}.duckdb")) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE TABLE sales (series_id TEXT, timestamp {kind}, value DOUBLE)")
            extremes = ["infinity", "-infinity", "0001-01-01", "0044-03-15 (BC)", "9999-12-31", "10000-01-01"]
            for i, extreme in enumerate(["2024-01-01", *extremes]):
                connection.execute(f"INSERT INTO sales VALUES ('a', '{extreme}', {i})")
        rows = read_observations(Source(url=f"duckdb:///{tmp_path}/{kind}.duckdb", table="sales")).sort_by("value")
        times = [moment and moment.replace(tzinfo=None) for moment in rows["timestamp"].to_pylist()]
        assert times == [GOOD] + [None] * len(extremes)


# Of each type: the integers it is made of, and how many of them are a day.
ARROW_TYPES = {
    pa.timestamp("ms"): (pa.int64(), 86_400_000),
    pa.timestamp("us", "UTC"): (pa.int64(), 86_400_000_000),
    pa.date32(): (pa.int32(), 1),
    pa.date64(): (pa.int64(), 86_400_000),
}


@pytest.mark.parametrize("kind", ARROW_TYPES, ids=str)
def test_parquet_gives_extreme_times_as_null_beside_good_ones(tmp_path, kind):
    integers, per_day = ARROW_TYPES[kind]
    largest = int(np.iinfo(integers.to_pandas_dtype()).max) // per_day * per_day
    counts = pa.array([19_723 * per_day, largest, -largest, 0], integers)
    table = pa.table({"series_id": ["a"] * 4, "timestamp": counts.cast(kind), "value": [1.0, 2.0, 3.0, 4.0]})
    pa.parquet.write_table(table, tmp_path / "sales.parquet")
    rows = read_observations(Source(url=f"parquet:///{tmp_path}", table="sales"))
    times = [moment and moment.replace(tzinfo=None) for moment in rows["timestamp"].to_pylist()]
    assert times == [GOOD, None, None, datetime(1970, 1, 1)]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMPTZ", "TEXT"])
def test_a_row_recorded_at_the_end_of_time_is_never_known_and_one_at_its_beginning_always(postgres_url, kind):
    with psycopg.connect(postgres_url) as owner:
        owner.execute(f"CREATE TABLE sales (series_id TEXT, timestamp DATE, value FLOAT, loaded {kind})")
        for i, moment in enumerate(["2024-01-02", "infinity", "-infinity", "9999-12-31", "0001-01-01"]):
            owner.execute("INSERT INTO sales VALUES ('a', %s, %s, %s)", (f"2024-01-0{i + 1}", i, moment))
    source = Source(url=postgres_url, table="sales", recorded_at="loaded")
    assert sorted(read_observations(source, known_at=MOMENT)["value"].to_pylist()) == [0.0, 2.0, 4.0]
    every = read_observations(source).sort_by("value")["recorded_at"].to_pylist()
    assert [moment is None or moment <= MOMENT for moment in every] == [True, False, True, False, True]


def test_rows_at_extreme_times_are_a_finding_and_the_rest_is_forecast(make_panel_rows):
    panel, findings = make_panel_rows({})
    assert panel.observed_counts.tolist() == [40]
    assert findings == [(2, "timestamps that are infinite or outside the years 1678 to 2261", ("a",), "ignored")]
    panel, findings = make_panel_rows({"off_grid": "floor"})
    assert panel.observed_counts.tolist() == [40]


@pytest.fixture
def make_panel_rows():
    """Builds a panel of 40 days with two null timestamps; gives it and what was found."""
    from models.audit.build_panel import build_panel
    from models.settings.audit import AuditSettings
    from models.settings.forecast import ForecastSettings

    def build(audit):
        days = [*pd.date_range("2024-01-01", periods=40), None, None]
        times = pa.array(days, pa.timestamp("us"))
        rows = pa.table({"series_id": ["a"] * 42, "timestamp": times, "value": np.arange(42.0)})
        forecast = ForecastSettings.model_validate({"frequency": "D", "horizon": 7})
        settings = AuditSettings.model_validate(audit)
        panel, account = build_panel(rows, forecast, cutoff=None, now=datetime(2024, 2, 10, tzinfo=UTC), audit=settings)
        return panel, [(each.count, each.kind, each.examples, each.action) for each in account.findings]

    return build
