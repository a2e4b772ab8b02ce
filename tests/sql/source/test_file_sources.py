"""History in DuckDB files and in folders of Parquet."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Barrier

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sql.engine.connection import connect, resolve_url
from sql.errors import NoRows, SourceError, StorageError
from sql.source.parquet_reader import footers
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


@pytest.fixture
def write_part(tmp_path):
    """Writes a part of the table `sales` of parquet:///<tmp_path>; gives the source."""

    def write(name: str, **columns) -> Source:
        rows = {"series_id": ["a"], "timestamp": [datetime(2024, 1, 1)], "value": [1.5], **columns}
        file = tmp_path / "sales" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({key: column for key, column in rows.items() if column is not None}), file)
        return Source(url=f"parquet:///{tmp_path}", table="sales")

    return write


def test_a_code_in_a_hive_key_stays_text_to_the_letter(write_part):
    codes = ["007", "7", "1E3", "NA", "07.0", "true", "a%2Fb"]
    for code in codes:
        source = write_part(f"store={code}/part.parquet", series_id=None)
    rows = read_observations(source.model_copy(update={"series_id": ["store"]}))
    assert sorted(rows["series_id"].to_pylist()) == sorted([*codes[:-1], "a/b"])


def test_a_hive_key_of_days_or_numbers_still_holds_days_and_numbers(write_part):
    write_part("day=2024-01-01/level=03/part.parquet", timestamp=None, series_id=["a"])
    source = write_part("day=2024-01-02/level=10/part.parquet", timestamp=None, series_id=["b"])
    source = source.model_copy(update={"timestamp": "day", "observed_past": ["level"]})
    rows = read_observations(source, until=UTC_2ND).sort_by("timestamp")
    assert rows["timestamp"].to_pylist() == [datetime(2024, 1, 1), datetime(2024, 1, 2)]
    assert rows["level"].to_pylist() == [3.0, 10.0]


@pytest.mark.parametrize(
    ("column", "first", "second", "expected"),
    [
        ("value", pa.array([1]), pa.array([2.5]), [1.0, 2.5]),
        ("value", pa.array([2.5]), pa.array([1], pa.int8()), [1.0, 2.5]),
        ("value", pa.array([1]), pa.array([Decimal("2.5")], pa.decimal128(9, 2)), [1.0, 2.5]),
        ("value", pa.array([1.0]), pa.array([Decimal("2.5")], pa.decimal128(9, 2)), [1.0, 2.5]),
        ("value", pa.array([True]), pa.array([2.5]), [1.0, 2.5]),
        ("value", pa.array([None], pa.null()), pa.array([2.5], pa.float32()), [2.5, None]),
        ("value", pa.array(["1"]), pa.array(["x"]).dictionary_encode(), [1.0, None]),
        ("series_id", pa.array(["a"]).dictionary_encode(), pa.array(["b"], pa.large_string()), ["a", "b"]),
        ("series_id", pa.array([1], pa.int16()), pa.array([10**12]), ["1", "1000000000000"]),
        (
            "timestamp",
            pa.array([date(2024, 1, 1)]),
            pa.array([datetime(2024, 1, 2, 6)], pa.timestamp("ns")),
            [datetime(2024, 1, 1), datetime(2024, 1, 2, 6)],
        ),
        (
            "timestamp",
            pa.array([UTC_2ND], pa.timestamp("ms", "Europe/Madrid")),
            pa.array([UTC_2ND], pa.timestamp("us", "UTC")),
            [UTC_2ND, UTC_2ND],
        ),
    ],
    ids=["int, double", "double, int8", "int, decimal", "double, decimal", "boolean, double",
         "null, single", "text, categories",
         "categories, large text", "int16, int64", "day, time", "zones"],
)  # fmt: skip
def test_parts_of_different_types_are_read_in_the_common_one(write_part, column, first, second, expected):
    write_part("1.parquet", **{column: first})
    source = write_part("2.parquet", **{column: second})
    found = read_observations(source)[column].to_pylist()
    assert sorted(found, key=lambda each: (each is None, each)) == expected


@pytest.mark.parametrize("first", [pa.timestamp("us", "Europe/Madrid"), pa.timestamp("s", "UTC")])
@pytest.mark.parametrize("second", [pa.timestamp("us", "Europe/Madrid"), pa.timestamp("ns", "UTC")])
def test_bounds_hold_for_parts_of_one_row_and_of_several_units_and_zones(write_part, first, second):
    write_part("1.parquet", timestamp=pa.array([UTC_2ND], first))
    write_part("2.parquet", timestamp=pa.array([UTC_2ND], second), series_id=["b"])
    source = write_part("3.parquet", timestamp=pa.array([datetime(2024, 1, 3, tzinfo=UTC)], second), series_id=["c"])
    assert sorted(read_observations(source, until=UTC_2ND)["series_id"].to_pylist()) == ["a", "b"]
    assert read_observations(source, since=datetime(2024, 1, 3, tzinfo=UTC))["series_id"].to_pylist() == ["c"]


def test_bounds_hold_for_parts_with_days_and_times(write_part):
    write_part("1.parquet", timestamp=pa.array([date(2024, 1, 2)]))
    source = write_part("2.parquet", timestamp=pa.array([datetime(2024, 1, 3)]), series_id=["b"])
    assert read_observations(source, until=UTC_2ND)["series_id"].to_pylist() == ["a"]
    assert read_observations(source, since=datetime(2024, 1, 3, tzinfo=UTC))["series_id"].to_pylist() == ["b"]


def test_a_column_that_only_some_parts_have_is_null_in_the_others(write_part):
    write_part("2023.parquet")
    source = write_part("2024.parquet", series_id=["b"], promotion=[1], region=["north"])
    source = source.model_copy(update={"static": ["region"], "observed_past": ["promotion"]})
    rows = read_observations(source).sort_by("value").to_pylist()
    found = {row["series_id"]: (row["region"], row["promotion"]) for row in rows}
    assert found == {"a": (None, None), "b": ("north", 1.0)}


@pytest.mark.parametrize(
    ("column", "second", "message"),
    [
        ("series_id", pa.array([7]), "'series_id' .*: string in 1.parquet, int64 in 2.parquet. Write it in one type"),
        ("value", pa.array(["2"]), "'value' .*: double in 1.parquet, string in 2.parquet"),
        ("timestamp", pa.array([UTC_2ND], pa.timestamp("us", "UTC")), "'timestamp' .*tz=UTC. in 2.parquet"),
    ],
)
def test_parts_whose_types_have_no_common_one_are_refused_unless_the_job_needs_no_such_column(
    write_part, column, second, message
):
    write_part("1.parquet")
    source = write_part("2.parquet", **{column: second})
    with pytest.raises(SourceError, match=message):
        read_observations(source)
    write_part("1.parquet", note=["x"])
    assert read_observations(write_part("2.parquet", note=[7])).num_rows == 2


def test_several_footers_are_read_at_once_and_come_in_the_order_of_the_parts():
    together = Barrier(4, timeout=60)

    class Part:
        def __init__(self, number):
            self.number = number

        @property
        def physical_schema(self):
            together.wait()
            return self.number

    parts = [Part(number) for number in range(24)]
    assert list(footers(parts)) == [(part, part.number) for part in parts]


def test_the_first_of_the_parts_that_cannot_be_read_is_named(tmp_path, make_rows):
    for i in range(30):
        folder = tmp_path / "sales" / f"region={i:02}"
        folder.mkdir(parents=True)
        pq.write_table(make_rows(), folder / "part-0.parquet")
    for i in (17, 21):
        (tmp_path / "sales" / f"region={i}" / "part-0.parquet").write_text("not Parquet")
    with pytest.raises(StorageError, match=r"Could not read table 'sales' .*region=17.* Write the file again"):
        read_observations(Source(url=f"parquet:///{tmp_path}", table="sales"))
