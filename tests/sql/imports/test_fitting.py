"""Rows for a table that exists: no value changes, and the table keeps its rights, indexes and views."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url
from sql.errors import SourceError
from sql.imports import table as module
from sql.imports.file_format import FileFormat
from sql.imports.import_file import Mode, import_file


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    """Both ways that rows take."""
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(module, "adbc_connection", lambda url: None)


@pytest.fixture
def append(tmp_path):
    """Appends a CSV column of texts, or a Parquet column, to the column `x` of a new table; gives its values."""

    def appended(url: str, kind: str, values: Sequence[str] | pa.Array, mode: Mode = "append", **said: Any) -> list:
        if isinstance(values, pa.Array):
            file = tmp_path / "t.parquet"
            pq.write_table(pa.table({"n": range(len(values)), "x": values}), file)
        else:
            file = tmp_path / "t.csv"
            file.write_text("\n".join(["n,x", *(f"{i},{value}" for i, value in enumerate(values))]) + "\n")
        engine = connect(resolve_url(url))
        with engine.begin() as connection:
            connection.execute(sa.text(f"CREATE TABLE t (n BIGINT, x {kind})"))
        try:
            import_file(file, resolve_url(url), "t", mode, FileFormat(**said))
        finally:
            with engine.connect() as connection:
                found = connection.execute(sa.text("SELECT x FROM t ORDER BY n")).scalars().all()
        return list(found)

    return appended


NOON = datetime(2026, 1, 31, 18, 30)
REFUSED = {
    "integer, fraction": ("INTEGER", ["1", "2.5", "3.5"], r"'x' is INTEGER and cannot hold '2.5', '3.5' \(2 rows\)"),
    "integer, double": ("INTEGER", pa.array([1.0, 2.5]), r"'x' is INTEGER and cannot hold 2.5 \(1 row\)"),
    "integer, code": ("INTEGER", ["1", "007"], r"cannot hold '007' \(1 row\) \(if it .* say --number x"),
    "integer, exponent": ("INTEGER", ["1E3", "1000"], r"cannot hold '1E3' \(1 row\)"),
    "integer, plus": ("INTEGER", ["+1", " 2"], r"cannot hold '\+1', ' 2' \(2 rows\)"),
    "integer, word": ("INTEGER", ["1", "NA"], r"cannot hold 'NA' \(1 row\)"),
    "integer, too large": ("INTEGER", [str(2**31)], "cannot hold '2147483648'"),
    "integer, not a number": ("INTEGER", pa.array([float("nan"), None]), r"cannot hold nan \(1 row\)"),
    "smallint, too large": ("SMALLINT", pa.array([32767, 32768]), r"is SMALLINT and cannot hold 32768 \(1 row\)"),
    "bigint, too large": ("BIGINT", [str(2**63)], "is BIGINT and cannot hold '9223372036854775808'"),
    "bigint, double": ("BIGINT", pa.array([1e300]), "is BIGINT and cannot hold 1e"),
    "numeric, fraction": ("NUMERIC(9,2)", ["1.25", "1.255"], r"is NUMERIC\(9, 2\) and cannot hold '1.255' \(1 row\)"),
    "numeric, double": ("NUMERIC(9,2)", pa.array([1.25, 1.255]), r"cannot hold 1.255 \(1 row\)"),
    "numeric, too large": ("NUMERIC(4,2)", ["99.99", "100"], r"cannot hold '100' \(1 row\)"),
    "numeric, whole": ("NUMERIC(4)", ["9999", "0.5"], r"cannot hold '0.5' \(1 row\)"),
    "real, digits": ("REAL", ["0.1", "0.123456789"], r"is REAL and cannot hold '0.123456789' \(1 row\)"),
    "real, whole": ("REAL", pa.array([2**24, 2**24 + 1]), r"cannot hold 16777217 \(1 row\)"),
    "real, too large": ("REAL", ["1e39"], "cannot hold '1e39'"),
    "double, whole": ("DOUBLE PRECISION", pa.array([2**53, 2**53 + 1]), r"cannot hold 9007199254740993 \(1 row\)"),
    "double, text": ("DOUBLE PRECISION", [str(2**53), str(2**53 + 1)], r"hold '9007199254740993' \(1 row\)"),
    "varchar": ("VARCHAR(3)", ["abc", "abcd", '"ab  "'], r"VARCHAR\(3\) and cannot hold 'abcd', 'ab  ' \(2 rows\)"),
    "char": ("CHAR(2)", pa.array(["a", "abc"]), r"CHAR\(2\) and cannot hold 'abc' \(1 row\)"),
    "date, time of day": ("DATE", ["2026-01-31", "2026-01-31 18:30"], r"is DATE and cannot hold '2026-01-31 18:30'"),
    "date, time": ("DATE", pa.array([NOON], pa.timestamp("us")), r"is DATE and cannot hold 2026-01-31 18:30:00"),
    "date, instant": ("DATE", ["2026-01-31T00:00:00Z"], "is DATE and cannot hold '2026-01-31T00:00:00Z'"),
    "date, number": ("DATE", pa.array([20260131]), "is DATE and cannot hold 20260131"),
    "timestamp, fraction": ("TIMESTAMP(0)", ["2026-01-31 18:30:00.5"], r"is TIMESTAMP and cannot hold '.*00.5'"),
    "timestamp, instant": ("TIMESTAMP", ["2026-01-31T18:30:00+01:00"], "have an offset from UTC, but .* have none"),
    "instant, local time": ("TIMESTAMPTZ", ["2026-01-31T18:30:00"], "have no offset from UTC, but .* have one"),
    "timestamp, word": ("TIMESTAMP", ["soon"], "text that is not a time: 'soon'"),
    "time": ("TIME(0)", ["18:30:00.0", "18:30:00.5"], r"is TIME and cannot hold '18:30:00.5' \(1 row\)"),
    "money": ("MONEY", ["1.25", "1.255"], r"is MONEY and cannot hold '1.255' \(1 row\)"),
    "bits": ("BIT(3)", ["101", "1011"], r"is BIT and cannot hold '1011' \(1 row\)"),
    "decimals": ("NUMERIC(9,2)", pa.array([Decimal("1.255")], pa.decimal128(9, 3)), r"cannot hold 1.255 \(1 row\)"),
    "boolean": ("BOOLEAN", ["true", "maybe"], r"is BOOLEAN and cannot hold 'maybe' \(1 row\)"),
    "boolean, number": ("BOOLEAN", pa.array([0, 1, 2]), r"cannot hold 2 \(1 row\)"),
}


@pytest.mark.parametrize(("kind", "values", "message"), REFUSED.values(), ids=REFUSED)
def test_appending_refuses_what_a_column_of_postgresql_would_change(postgres_url, append, kind, values, message):
    with pytest.raises(SourceError, match=message):
        append(postgres_url, kind, values)
    with connect(resolve_url(postgres_url)).connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar() == 0


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("INTEGER", ["1", "-2", "", "3.0"], [1, -2, None, 3]),
        ("INTEGER", pa.array([1.0, None]), [1, None]),
        ("SMALLINT", pa.array([True, False]), [1, 0]),
        ("BIGINT", [str(-(2**63)), str(2**63 - 1)], [-(2**63), 2**63 - 1]),
        ("NUMERIC(9,2)", ["1.50", "7", "", "1234567.89"], [Decimal("1.50"), 7, None, Decimal("1234567.89")]),
        ("NUMERIC", ["12345678901234567890.123"], [Decimal("12345678901234567890.123")]),
        ("NUMERIC", pa.array([0.30000000000000004]), [Decimal("0.30000000000000004")]),
        ("NUMERIC(9,3)", pa.array([Decimal("1.255")], pa.decimal128(9, 3)), [Decimal("1.255")]),
        ("TIME", pa.array([time(18, 30)]), [time(18, 30)]),
        ("JSONB", ['"[1, 2]"'], [[1, 2]]),
        ("REAL", ["0.1", "16777216", "1e10"], [0.1, 16777216, 1e10]),
        ("DOUBLE PRECISION", ["0.1", "1e-05", "7"], [0.1, 1e-05, 7]),
        ("VARCHAR(3)", ["007", "NA", "1E3"], ["007", "NA", "1E3"]),
        ("TEXT", pa.array([0.30000000000000004, 1.5]), ["0.30000000000000004", "1.5"]),
        ("DATE", ["2026-01-31", "2026-02-01 00:00:00"], [date(2026, 1, 31), date(2026, 2, 1)]),
        ("TIMESTAMP", ["2026-01-31", "2026-01-31 18:30"], [datetime(2026, 1, 31), NOON]),
        ("TIMESTAMPTZ", ["2026-01-31T19:30:00+01:00"], [NOON.replace(tzinfo=UTC)]),
        ("BOOLEAN", ["true", "f", "1", ""], [True, False, True, None]),
        ("UUID", ["0e37df36-f698-11e6-8dd4-cb9ced3df976"], ["0e37df36-f698-11e6-8dd4-cb9ced3df976"]),
    ],
)
def test_appending_reads_a_file_in_the_types_of_a_table_of_postgresql(postgres_url, append, kind, values, expected):
    found = append(postgres_url, kind, values)
    assert [str(each) if kind == "UUID" else each for each in found] == expected


@pytest.mark.parametrize(
    ("domain", "fits", "other"),
    [
        ("INTEGER", "1", "2.5"),
        ("NUMERIC(9,2)", "1.25", "1.255"),
        ("VARCHAR(3)", "abc", "abcd"),
        ("TIMESTAMP(0)", "2026-01-31 18:30:00", "2026-01-31 18:30:00.5"),
        ("DATE", "2026-01-31", "2026-01-31 18:30:00"),
        ("TEXT", "007", None),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_domain_of_postgresql_counts_as_its_type(postgres_url, append, domain, fits, other, nested):
    engine = connect(resolve_url(postgres_url))
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE DOMAIN inner_one AS {domain}"))
        connection.execute(sa.text("CREATE DOMAIN outer_one AS inner_one"))
    name = "outer_one" if nested else "inner_one"
    assert [str(each) for each in append(postgres_url, name, [fits])] == [fits]
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE t"))
    if other is not None:
        with pytest.raises(SourceError, match=rf"cannot hold '{other}' \(1 row\)"):
            append(postgres_url, name, [fits, other])


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("INTEGER", ["1", "007"], r"'x' is INTEGER and cannot hold '007' \(1 row\)"),
        ("NUMERIC", ["1E3"], None),
        ("INTEGER", ["1E3"], "'x' is INTEGER and cannot hold '1E3'"),
        ("BIGINT", ["+7"], "cannot hold '\\+7'"),
        ("REAL", ["007", "1"], r"'x' is REAL and cannot hold '007' \(1 row\)"),
        ("REAL", pa.array([2**53 + 1]), "cannot hold 9007199254740993"),
        ("INTEGER", ["north"], "cannot hold 'north'"),
        ("BOOLEAN", ["7"], "cannot hold '7'"),
        ("STRING", ["north", "007", "1E3", "1.0"], r"cannot hold '007', '1E3', '1.0' \(3 rows\)"),
    ],
)
def test_appending_refuses_what_the_affinity_of_sqlite_would_change(sqlite_url, append, kind, values, message):
    if message is None:
        assert append(sqlite_url, kind, values) == [1000]
    else:
        with pytest.raises(SourceError, match=message):
            append(sqlite_url, kind, values)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("INTEGER", ["1", "2.5", ""], [1, 2.5, None]),
        ("REAL", ["1", "2.5"], [1.0, 2.5]),
        ("TEXT", ["007", "NA", "1.10"], ["007", "NA", "1.10"]),
        ("TEXT", pa.array([0.30000000000000004]), ["0.30000000000000004"]),
        ("VARCHAR(2)", ["abc"], ["abc"]),
        ("STRING", ["north", "7"], ["north", 7]),
        ("", ["007", "7"], ["007", "7"]),
    ],
)
def test_appending_reads_a_file_in_the_types_of_a_table_of_sqlite(sqlite_url, append, kind, values, expected):
    assert append(sqlite_url, kind, values) == expected


def test_times_with_and_without_an_offset_are_not_mixed_in_sqlite(sqlite_url, tmp_path):
    files = {}
    for name, moment in (("local", "2026-01-31 18:30"), ("aware", "2026-01-31T18:30:00+01:00")):
        files[name] = tmp_path / f"{name}.csv"
        files[name].write_text(f"series_id,timestamp,value\na,{moment},1\n")
    import_file(files["local"], resolve_url(sqlite_url), "local")
    import_file(files["aware"], resolve_url(sqlite_url), "aware")
    with pytest.raises(SourceError, match=r"have an offset from UTC, but those of .* have none"):
        import_file(files["aware"], resolve_url(sqlite_url), "local", "append")
    with pytest.raises(SourceError, match=r"have no offset from UTC, but those of .* have one"):
        import_file(files["local"], resolve_url(sqlite_url), "aware", "append")
    assert import_file(files["aware"], resolve_url(sqlite_url), "aware", "append").rows == 1


def test_a_column_that_is_named_as_numbers_may_have_any_spelling_of_them(postgres_url, append):
    assert append(postgres_url, "INTEGER", ["007", "1E3", "NA", "+1"], numbers=("x",)) == [7, 1000, None, 1]


def test_times_in_a_column_of_text_stay_as_they_are_in_postgresql(postgres_url, tmp_path):
    with connect(resolve_url(postgres_url)).begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (series_id TEXT, timestamp VARCHAR(10), value TEXT)"))
    (tmp_path / "t.csv").write_text("series_id,timestamp,value\na,2026-01-31,1.50\n")
    import_file(tmp_path / "t.csv", resolve_url(postgres_url), "t", "append")
    with connect(resolve_url(postgres_url)).connect() as connection:
        assert connection.execute(sa.text("SELECT * FROM t")).one() == ("a", "2026-01-31", "1.50")


def test_nanoseconds_are_refused(database_url, tmp_path):
    for name, nanoseconds in (("fits", 1_000), ("not", 1_001)):
        columns = {"series_id": ["a"], "timestamp": pa.array([nanoseconds], pa.timestamp("ns")), "value": [1.0]}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    assert import_file(tmp_path / "fits.parquet", resolve_url(database_url), "t").rows == 1
    with pytest.raises(SourceError, match=r"'timestamp' of .* times with nanoseconds \(1 row\), such as .*000001001\."):
        import_file(tmp_path / "not.parquet", resolve_url(database_url), "t", "append")


def test_every_column_that_would_change_is_named(database_url, tmp_path, run_sql):
    run_sql("CREATE TABLE t (series_id INTEGER, timestamp TIMESTAMP, value REAL, shop INTEGER)")
    file = tmp_path / "t.csv"
    file.write_text("series_id,timestamp,value,shop\n007,2024-01-01,1,01\n7,2024-01-01,1,2\n")
    with pytest.raises(SourceError, match=r"'series_id' is INTEGER .* '007' \(1 row\).*'shop' is INTEGER .* '01'"):
        import_file(file, resolve_url(database_url), "t", "append")


# Replacing -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    """Two files with the same columns, and the second with other rows and its columns in another order."""
    for name, text in (
        ("old", "series_id,timestamp,value\na,2024-01-01,1\n"),
        ("new", "value,series_id,timestamp\n2,007,2024-01-02\n3,b,2024-01-03\n"),
        ("wider", "series_id,timestamp,value,price\na,2024-01-01,1,2\n"),
        ("narrower", "series_id,timestamp\na,2024-01-01\n"),
    ):
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


@pytest.mark.usefixtures("way")
def test_replacing_rows_keeps_the_views_and_indexes_of_a_table(database_url, engine, run_sql, files):
    url = resolve_url(database_url)
    import_file(files / "old.csv", url, "t")
    run_sql("CREATE UNIQUE INDEX one_row ON t (series_id, timestamp)", "CREATE VIEW v AS SELECT series_id FROM t")
    assert import_file(files / "new.csv", url, "t", "replace").rows == 2
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT series_id FROM v ORDER BY 1")).scalars().all() == ["007", "b"]
    assert [index["name"] for index in sa.inspect(engine).get_indexes("t")] == ["one_row"]


def test_replacing_rows_keeps_the_grants_and_columns_that_the_database_fills(postgres_url, files):
    url = resolve_url(postgres_url)
    with connect(url).begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE t (id INT GENERATED ALWAYS AS IDENTITY, series_id VARCHAR(9), timestamp TIMESTAMP, "
                    "value NUMERIC(9,2), loaded_at TIMESTAMPTZ DEFAULT now())")
        )  # fmt: skip
        connection.execute(sa.text("GRANT SELECT ON t TO PUBLIC"))
    for _ in range(2):
        import_file(files / "new.csv", url, "t", "replace")
    with connect(url).connect() as connection:
        assert connection.execute(sa.text("SELECT count(*), count(loaded_at) FROM t")).one() == (2, 2)
        granted = (
            "SELECT count(*) FROM information_schema.table_privileges WHERE table_name = 't' AND grantee = 'PUBLIC'"
        )
        assert connection.execute(sa.text(granted)).scalar() == 1


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_replacing_rows_never_deletes_or_changes_those_of_other_tables(postgres_url, files, action):
    url = resolve_url(postgres_url)
    with connect(url).begin() as connection:
        for statement in (
            "CREATE TABLE t (series_id TEXT PRIMARY KEY, timestamp DATE, value INT)",
            f"CREATE TABLE notes (series_id TEXT REFERENCES t ON DELETE {action})",
            "INSERT INTO t VALUES ('a', NULL, NULL)",
            "INSERT INTO notes VALUES ('a')",
        ):
            connection.execute(sa.text(statement))
    with pytest.raises(SourceError, match=r"Foreign keys of notes refer to the table 't'.* Append to it"):
        import_file(files / "new.csv", url, "t", "replace")
    with connect(url).connect() as connection:
        assert connection.execute(sa.text("SELECT series_id FROM notes")).scalars().all() == ["a"]


def test_rows_of_other_columns_do_not_replace_those_of_a_table(database_url, engine, files):
    url = resolve_url(database_url)
    import_file(files / "old.csv", url, "t")
    with pytest.raises(SourceError, match=r"lacks the columns \['price'\].*add these to the table, or drop the table"):
        import_file(files / "wider.csv", url, "t", "replace")
    with pytest.raises(SourceError, match=r"file lacks the columns \['value'\] of the table 't'.*or drop the table"):
        import_file(files / "narrower.csv", url, "t", "replace")
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT series_id FROM t")).scalars().all() == ["a"]


def test_replacing_a_table_that_is_not_there_makes_it(database_url, files):
    assert import_file(files / "new.csv", resolve_url(database_url), "t", "replace").columns["series_id"] == "text"
