"""History in DuckDB files and in folders of Parquet."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sql.engine.connection import connect, resolve_url
from sql.errors import NoRows, SourceError, StorageError
from sql.source.read import Source, first_timestamp, read_observations

UTC_2ND = datetime(2024, 1, 2, tzinfo=UTC)


@pytest.fixture
def make_rows():
    """Makes a table of Arrow: two shops, three days, one of them revised."""

    def make(**columns) -> pa.Table:
        days = [datetime(2024, 1, day) for day in (1, 2, 2, 3)]
        return pa.table(
            {
                "shop": ["a/b", "a/b", "a/b", "c"],
                "item": [1, 1, 1, 2],
                "sold_at": pa.array(days, pa.timestamp("us")),
                "units": [1.5, None, 2.5, 3.0],
                "loaded_at": pa.array([datetime(2024, 1, day) for day in (2, 3, 4, 4)], pa.timestamp("us")),
                **columns,
            }
        )

    return make


@pytest.fixture(params=["duckdb", "parquet file", "parquet folder"])
def make_source(request, tmp_path, make_rows):
    """Makes the table `sales` as a DuckDB file, as a Parquet file or as a folder of parts; gives the source."""

    def make(rows: pa.Table | None = None, **settings) -> Source:
        rows = make_rows() if rows is None else rows
        if request.param == "duckdb":
            with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
                connection.register("given", rows)
                connection.sql("CREATE TABLE sales AS SELECT * FROM given")
            url = "duckdb:///warehouse.duckdb"
        else:
            url = "parquet:///warehouse"
            folder = tmp_path / "warehouse"
            folder.mkdir()
            if request.param == "parquet file":
                pq.write_table(rows, folder / "sales.parquet")
            else:
                pq.write_to_dataset(rows, folder / "sales", partition_cols=["item"])
        columns = {"series_id": ["shop", "item"], "timestamp": "sold_at", "value": "units"}
        return Source(**{"url": url, "table": "sales", **columns, **settings})

    return make


def listed(rows: pa.Table) -> list[tuple]:
    found = [(row["series_id"], row["timestamp"].day, row["value"]) for row in rows.to_pylist()]
    return sorted(found, key=str)


def test_rows_come_in_the_same_columns_as_from_a_database(make_source, tmp_path):
    rows = read_observations(make_source(static="shop", recorded_at="loaded_at"), tmp_path)
    assert rows.schema == pa.schema(
        {
            "series_id": pa.dictionary(pa.int32(), pa.string()),
            "timestamp": pa.timestamp("us"),
            "value": pa.float64(),
            "shop": pa.string(),
            "recorded_at": pa.timestamp("us", "UTC"),
        }
    )
    assert listed(rows) == [("a\\/b/1", 1, 1.5), ("a\\/b/1", 2, 2.5), ("a\\/b/1", 2, None), ("c/2", 3, 3.0)]


def test_bounds_and_the_moment_of_knowledge_hold(make_source, tmp_path):
    source = make_source(recorded_at="loaded_at")
    assert listed(read_observations(source, tmp_path, until=UTC_2ND)) == [
        ("a\\/b/1", 1, 1.5), ("a\\/b/1", 2, 2.5), ("a\\/b/1", 2, None)
    ]  # fmt: skip
    assert listed(read_observations(source, tmp_path, since=datetime(2024, 1, 3, tzinfo=UTC))) == [("c/2", 3, 3.0)]
    known = [read_observations(source, tmp_path, known_at=datetime(2024, 1, day, tzinfo=UTC)) for day in (3, 4)]
    assert listed(known[0]) == [("a\\/b/1", 1, 1.5), ("a\\/b/1", 2, None)]
    assert listed(known[1]) == [("a\\/b/1", 1, 1.5), ("a\\/b/1", 2, 2.5), ("c/2", 3, 3.0)]
    assert first_timestamp(source, tmp_path) == datetime(2024, 1, 1)
    with pytest.raises(NoRows):
        read_observations(source, tmp_path, known_at=datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "columns",
    [
        {"units": pa.array([Decimal("1.5"), None, Decimal("2.5"), Decimal(3)], pa.decimal128(9, 2))},
        {"units": pa.array(["1.5", None, " 2.5", "3"], pa.large_string())},
        {"units": pa.array([1.5, None, 2.5, 3], pa.float32())},
        {"sold_at": pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 2, 3)], pa.timestamp("ms", "UTC"))},
        {"sold_at": pa.array([date(2024, 1, day) for day in (1, 2, 2, 3)])},
        {"sold_at": pa.array(["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"])},
        {"shop": pa.array(["a/b", "a/b", "a/b", "c"]).dictionary_encode()},
    ],
    ids=["decimals", "text", "singles", "instants", "days", "times as text", "dictionary"],
)
def test_any_types_of_numbers_times_and_ids_are_understood(make_source, make_rows, tmp_path, columns):
    rows = read_observations(make_source(make_rows(**columns)), tmp_path, until=UTC_2ND)
    assert listed(rows) == [("a\\/b/1", 1, 1.5), ("a\\/b/1", 2, 2.5), ("a\\/b/1", 2, None)]


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ({}, {"table": "sale"}, r"no table 'sale' in .*Did you mean 'sales'\? Existing tables: sales\."),
        ({}, {"value": "unit"}, r"no column 'unit' \(value\).*Did you mean 'units'\?"),
        (
            {"units": ["1", "oops", "oops", "2"]},
            {"series_id": "shop", "value": "item", "observed_past": "units"},
            r"'oops' \(2 rows\)",
        ),
        ({"sold_at": [1, 2, 3, 4]}, {}, "holds int64, not times"),
        ({"shop": ["a", None, None, "c"]}, {}, "2 of 4 rows of .* have no 'shop'"),
    ],
)
def test_what_is_wrong_is_named_as_for_a_database(make_source, make_rows, tmp_path, columns, settings, message):
    with pytest.raises(SourceError, match=message):
        read_observations(make_source(make_rows(**columns), **settings), tmp_path)


def test_text_among_the_values_is_kept_for_the_audit(make_source, make_rows, tmp_path):
    rows = read_observations(make_source(make_rows(units=["1", "oops", None, "2"])), tmp_path)
    assert sorted(zip(rows["value"].to_pylist(), rows["value_text"].to_pylist(), strict=True), key=str) == [
        (1.0, None), (2.0, None), (None, "oops"), (None, None)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["duckdb", "parquet"])
def test_where_there_is_nothing_the_path_is_named(tmp_path, kind):
    with pytest.raises(SourceError, match=rf"There is no .* {tmp_path}/gone\."):
        read_observations(Source(url=f"{kind}:///gone", table="t"), tmp_path)
    with pytest.raises(SourceError, match="can be a source, but not an output"):
        connect(resolve_url(f"{kind}:///gone", tmp_path))


def test_a_query_of_duckdb_gets_its_bounds_and_cannot_write(tmp_path, make_rows):
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.register("given", make_rows())
        connection.sql("CREATE SCHEMA s")
        connection.sql("CREATE TABLE s.sales AS SELECT * FROM given")
        connection.sql("CREATE VIEW v AS SELECT shop AS series_id, sold_at AS timestamp, units AS value FROM s.sales")
    before = (tmp_path / "w.duckdb").read_bytes()

    def read(**settings):
        columns = {"series_id": "shop", "timestamp": "sold_at", "value": "units"} if "table" not in settings else {}
        return read_observations(Source(url="duckdb:///w.duckdb", **columns, **settings), tmp_path, until=UTC_2ND)

    assert listed(read(query="SELECT * FROM s.sales WHERE sold_at < :until -- not the second")) == [("a/b", 1, 1.5)]
    assert read(table="v").num_rows == 3
    with pytest.raises(SourceError, match=r"cannot be run: .*gone"):
        read(query="SELECT * FROM gone")
    with pytest.raises(SourceError, match=r"Existing tables: s\.sales, v"):
        read(table="nothing like it")
    assert (tmp_path / "w.duckdb").read_bytes() == before


def test_a_file_that_is_no_database_is_told_so(tmp_path):
    (tmp_path / "w.duckdb").write_text("not a database")
    (tmp_path / "t.parquet").write_text("not Parquet")
    with pytest.raises(StorageError, match="Could not read from the database duckdb"):
        read_observations(Source(url="duckdb:///w.duckdb", table="t"), tmp_path)
    with pytest.raises(StorageError, match=r"Could not read table 't' in parquet"):
        read_observations(Source(url=f"parquet:///{tmp_path}", table="t"), tmp_path)
    with pytest.raises(SourceError, match=r"is a file, but .* names a folder.*table: t"):
        read_observations(Source(url="parquet:///t.parquet", table="t"), tmp_path)
    with pytest.raises(SourceError, match="which cannot answer a query"):
        read_observations(Source(url=f"parquet:///{tmp_path}", query="SELECT 1"), tmp_path)


def test_without_duckdb_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(SourceError, match=r"DuckDB is not installed.*requirements/duckdb\.txt"):
        read_observations(Source(url="duckdb:///w.duckdb", table="t"), tmp_path)
