import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sql.errors import NoRows, SourceError, StorageError
from sql.source import database_reader
from sql.source.as_of import known_at
from sql.source.read import Source, describe_source, first_timestamp, read_observations, takes_since
from sql.source.reader import Bounds, wanted_columns

UNTIL = datetime(2024, 1, 2, tzinfo=UTC)

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def sales(run_sql):
    """Three days of two shops, under names that only quotes can carry."""
    run_sql(
        'CREATE TABLE "order" (shop TEXT, item INTEGER, sold_at TIMESTAMP, "100% ""units""" NUMERIC(10, 2), '
        "promotion INTEGER, visitors DOUBLE PRECISION, loaded_at TIMESTAMP)",
        """INSERT INTO "order" VALUES
        ('a/b', 1, '2024-01-01 00:00:00', 1.5, 0, 10.5, '2024-01-01 06:00:00'),
        ('a/b', 1, '2024-01-02 00:00:00', NULL, 1, NULL, '2024-01-02 06:00:00'),
        ('c\\d', 2, '2024-01-03 00:00:00', 3, NULL, 30, '2024-01-03 06:00:00')""",
    )


def source(url, **changes):
    return Source(
        **{"url": url, "table": "order", "series_id": ["shop", "item"], "timestamp": "sold_at"}
        | {"value": '100% "units"'}
        | changes
    )


def by_time(rows: pa.Table) -> list[dict[str, Any]]:
    return rows.sort_by("timestamp").to_pylist()


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    """Both ways that rows take: databases without an ADBC driver give theirs to SQLAlchemy."""
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(database_reader, "adbc_source_connection", lambda url: None)


@pytest.mark.usefixtures("sales", "way")
def test_a_table_comes_with_ids_times_numbers_and_covariates_in_fixed_types(database_url):
    rows = read_observations(
        source(
            database_url,
            static="shop",
            known_future=["promotion"],
            observed_past=["visitors"],
            recorded_at="loaded_at",
        )
    )

    assert rows.schema == pa.schema(
        {
            "series_id": pa.dictionary(pa.int32(), pa.string()),
            "timestamp": pa.timestamp("us"),
            "value": pa.float64(),
            "shop": pa.string(),
            "promotion": pa.float64(),
            "visitors": pa.float64(),
            "recorded_at": pa.timestamp("us", "UTC"),
        }
    )
    first, second, third = by_time(rows)
    assert first == {
        "series_id": "a\\/b/1", "timestamp": datetime(2024, 1, 1), "value": 1.5, "shop": "a/b", "promotion": 0.0,
        "visitors": 10.5, "recorded_at": datetime(2024, 1, 1, 6, tzinfo=UTC),
    }  # fmt: skip
    assert (second["value"], second["promotion"], second["visitors"]) == (None, 1.0, None)
    assert (third["series_id"], third["value"], third["promotion"]) == ("c\\\\d/2", 3.0, None)


@pytest.mark.usefixtures("sales")
def test_a_single_id_column_is_taken_as_it_is(database_url):
    rows = read_observations(source(database_url, series_id="shop"))
    assert sorted(set(rows["series_id"].to_pylist())) == ["a/b", "c\\d"]


@pytest.mark.usefixtures("sales", "way")
def test_a_query_gets_its_bounds_and_keeps_its_comments(database_url):
    query = '''
        -- what was sold; not ':until'
        SELECT shop, item, sold_at, "100% ""units""" AS units, ':until' AS note FROM "order"
        WHERE sold_at > :since AND sold_at <= :until; -- the end'''
    parts = source(database_url, table=None, query=query, value="units", static="note")
    since = datetime(2023, 12, 31, tzinfo=UTC)
    rows = by_time(read_observations(parts, since=since, until=UNTIL))
    assert [(row["timestamp"].day, row["note"]) for row in rows] == [(1, ":until"), (2, ":until")]
    assert read_observations(parts).num_rows == 3


@pytest.mark.usefixtures("sales")
def test_a_query_may_stand_in_a_file_beside_the_job(database_url, tmp_path):
    (tmp_path / "sales.sql").write_text('WITH s AS (SELECT * FROM "order") SELECT * FROM s')
    assert read_observations(source(database_url, table=None, query="sales.sql"), tmp_path).num_rows == 3
    with pytest.raises(SourceError, match=r"Cannot read the query file .*gone\.sql"):
        read_observations(source(database_url, table=None, query="gone.sql"), tmp_path)


@pytest.mark.usefixtures("sales", "way")
def test_only_rows_within_the_bounds_come_whatever_the_database_keeps_times_as(database_url):
    rows = by_time(read_observations(source(database_url), until=UNTIL))
    assert [row["timestamp"].day for row in rows] == [1, 2]
    assert read_observations(source(database_url), since=UNTIL)["timestamp"].to_pylist() == [
        datetime(2024, 1, 2), datetime(2024, 1, 3)
    ]  # fmt: skip
    # In New York, midnight of the second is five hours later than in UTC.
    early = read_observations(source(database_url), until=UNTIL, time_zone="America/New_York")
    assert [row["timestamp"].day for row in by_time(early)] == [1]


# The same moments as every form shows them in which SQLite may hold a time; offsets go up to 14 hours.
FORMS = [
    "{:%Y-%m-%d %H:%M:%S}",
    "{:%Y-%m-%dT%H:%M}",
    "{:%Y-%m-%d %H:%M:%S.000001}",
    "  {:%Y-%m-%d %H:%M:%S}",
    "{:%Y-%m-%dT%H:%M:%S}Z",
    "{:%Y-%m-%d %H:%M:%S}+00:00",
    "{:%Y-%m-%d %H:%M}-1200",
    "{:%Y-%m-%d %H:%M:%S}+14:00",
]


@on_sqlite
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["TEXT", "TIMESTAMP"])
def test_sqlite_leaves_out_old_rows_and_no_others_whatever_form_its_times_have(database_url, run_sql, form, kind):
    hours = [datetime(2024, 2, 25) + timedelta(hours=7 * i) for i in range(40)]
    values = ", ".join(f"('a', '{form.format(hour)}', {i})" for i, hour in enumerate(hours))
    run_sql(f"CREATE TABLE rows (series_id TEXT, timestamp {kind}, value REAL)", f"INSERT INTO rows VALUES {values}")
    rows, zone = Source(url=database_url, table="rows"), "America/Caracas"
    since = datetime(2024, 3, 1, 5, tzinfo=UTC)

    everything, bounded = (read_observations(rows, since=each, time_zone=zone) for each in (None, since))

    times = everything["timestamp"]
    limit = since if times.type.tz else since.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    expected = everything.filter(pc.greater_equal(times, pa.scalar(limit, times.type)))
    assert 0 < expected.num_rows < everything.num_rows == 40
    assert bounded.sort_by("timestamp").equals(expected.sort_by("timestamp"))


@on_sqlite
@pytest.mark.parametrize("wrong", ["NULL", "20240301", "'soon'", "''", "'3/1/2024'"])
def test_a_time_that_none_can_read_is_named_with_a_bound_too(database_url, run_sql, wrong):
    run_sql(
        "CREATE TABLE rows (series_id TEXT, timestamp TIMESTAMP, value REAL)",
        f"INSERT INTO rows VALUES ('a', '2024-03-01', 1), ('a', {wrong}, 2)",
    )
    with pytest.raises(SourceError, match=r"holds text that is not a time|have no 'timestamp'"):
        read_observations(Source(url=database_url, table="rows"), since=UNTIL)


def test_a_table_and_a_query_that_names_its_bound_can_leave_old_rows_out(tmp_path):
    (tmp_path / "bound.sql").write_text("SELECT * FROM rows -- from the first day on\nWHERE day > :since", "utf-8")
    queries = {"bound.sql": True, "SELECT * FROM rows WHERE day <= :until -- not :since": False, "SELECT 1": False}
    for query, expected in queries.items():
        assert takes_since(Source(url="sqlite:///any.db", query=query), tmp_path) is expected
    assert takes_since(Source(url="sqlite:///any.db", table="rows"), tmp_path)


@on_sqlite
def test_old_rows_of_sqlite_never_leave_the_database(database_url, run_sql):
    run_sql(
        "CREATE TABLE rows (series_id TEXT, timestamp TEXT, value REAL)",
        "INSERT INTO rows VALUES ('a', '2023-12-25', 1), ('a', '2024-01-02', 2)",
    )
    parts, bounds = Source(url=database_url, table="rows"), Bounds(since=UNTIL)
    with database_reader.open_database(parts, sa.make_url(database_url), None, bounds, False) as reader:
        assert sum(batch.num_rows for batch in reader.batches(wanted_columns(parts))) == 1


@pytest.mark.usefixtures("sales", "way")
@pytest.mark.parametrize("query", [None, 'SELECT * FROM "order" WHERE sold_at <= :until'], ids=["table", "query"])
def test_the_first_timestamp_is_found_whatever_the_bounds(database_url, query):
    parts = source(database_url, query=query, table=None if query else "order")
    assert first_timestamp(parts) == datetime(2024, 1, 1)


@pytest.mark.usefixtures("way")
def test_the_first_timestamp_of_no_rows_is_none(database_url, run_sql):
    run_sql("CREATE TABLE t (series_id TEXT, timestamp TIMESTAMP, value REAL)")
    assert first_timestamp(Source(url=database_url, table="t")) is None


def test_instants_stay_instants_and_days_are_their_midnight(database_url, run_sql):
    kinds = ("TIMESTAMPTZ", "DATE") if database_url.startswith("postgresql") else ("TEXT", "TEXT")
    run_sql(
        f"CREATE TABLE t (series_id TEXT, timestamp {kinds[0]}, day {kinds[1]}, value REAL)",
        "INSERT INTO t VALUES ('a', '2024-01-01 06:00:00+02:00', '2024-01-01', 1)",
    )
    rows = read_observations(Source(url=database_url, table="t"))
    assert rows["timestamp"].to_pylist() == [datetime(2024, 1, 1, 4, tzinfo=UTC)]
    rows = read_observations(Source(url=database_url, table="t", timestamp="day"))
    assert rows["timestamp"].to_pylist() == [datetime(2024, 1, 1)]


def test_a_table_may_be_a_view(run_sql, database_url):
    run_sql("CREATE VIEW v AS SELECT 'a' AS series_id, '2024-01-01' AS timestamp, 1 AS value")
    assert read_observations(Source(url=database_url, table="v")).num_rows == 1


@on_postgresql
def test_a_table_may_lie_in_another_schema(run_sql, database_url):
    run_sql(
        'CREATE SCHEMA "my sales"',
        "CREATE VIEW \"my sales\".v AS SELECT 'a' AS series_id, DATE '2024-01-01' AS timestamp, 1 AS value",
    )
    assert read_observations(Source(url=database_url, table="my sales.v")).num_rows == 1


@on_sqlite
def test_what_sqlite_shows_first_does_not_decide_what_comes_later(run_sql, database_url):
    run_sql(
        "CREATE TABLE t (series_id, timestamp, value)",
        """WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
        INSERT INTO t SELECT i % 2, datetime('2024-01-01', i || ' hours'),
        CASE WHEN i < 2000 THEN NULL WHEN i < 3000 THEN i ELSE i + 0.5 END FROM n""",
    )
    rows = by_time(read_observations(Source(url=database_url, table="t")))
    assert [rows[i]["value"] for i in (0, 2000, 4000)] == [None, 2000.0, 4000.5]


def table_of(run_sql, timestamp="'2024-01-01'", value="1", series_id="'a'", kind="TEXT"):
    """A table whose last rows hold something else than the first ones."""
    run_sql(
        f"CREATE TABLE t (series_id TEXT, timestamp TEXT, value {kind})",
        """WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)
        INSERT INTO t SELECT 'a', '2024-01-01', '1.25' FROM n""",
        f"INSERT INTO t VALUES ({series_id}, {timestamp}, {value}), ({series_id}, {timestamp}, {value})",
    )


@pytest.mark.usefixtures("way")
def test_text_in_the_value_column_is_kept_beside_the_values(database_url, run_sql):
    table_of(run_sql, value="'oops'")
    rows = read_observations(Source(url=database_url, table="t"))
    assert rows["value"].to_pylist() == [1.25] * 2000 + [None] * 2
    assert rows["value_text"].to_pylist() == [None] * 2000 + ["oops"] * 2


@pytest.mark.usefixtures("way")
def test_text_in_a_covariate_is_named_with_the_number_of_its_rows(database_url, run_sql):
    table_of(run_sql, value="'oops'")
    run_sql("CREATE VIEW v AS SELECT series_id, timestamp, 1 AS units, value AS visitors FROM t")
    with pytest.raises(SourceError, match=r"column 'visitors' of table 'v' in .* holds text: 'oops' \(2 rows\)"):
        read_observations(Source(url=database_url, table="v", value="units", observed_past="visitors"))


@on_sqlite
def test_text_in_a_numeric_column_of_sqlite_is_found_after_many_numbers(database_url, run_sql):
    table_of(run_sql, value="'oops'", kind="REAL")
    rows = read_observations(Source(url=database_url, table="t"))
    assert rows["value_text"].drop_null().to_pylist() == ["oops", "oops"]


@pytest.mark.usefixtures("way")
def test_numbers_kept_as_text_are_numbers(database_url, run_sql):
    table_of(run_sql, value="' -0.1e3 '")
    rows = read_observations(Source(url=database_url, table="t"))
    assert sorted(set(rows["value"].to_pylist())) == [-100.0, 1.25]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ({"timestamp": "'31/12/2024'"}, r"'timestamp' .* is not a time: '31/12/2024' \(2 rows\).*2024-01-31"),
        ({"timestamp": "'2024-01-01T00:00:00Z'"}, "both with and without an offset"),
        ({"timestamp": "NULL"}, r"2 of 2002 rows of .* have no 'timestamp'"),
        ({"series_id": "NULL"}, r"2 of 2002 rows of .* have no 'series_id'"),
    ],
)
def test_rows_that_cannot_be_placed_are_counted_and_shown(database_url, run_sql, spoilt, message):
    table_of(run_sql, **spoilt)
    with pytest.raises(SourceError, match=message):
        read_observations(Source(url=database_url, table="t"))


def test_a_time_that_is_a_number_is_refused(database_url, run_sql):
    run_sql(
        "CREATE TABLE t (series_id TEXT, timestamp BIGINT, value REAL)", "INSERT INTO t VALUES ('a', 1704067200, 1)"
    )
    with pytest.raises(SourceError, match=r"is not a time: '1704067200'|holds int64, not times"):
        read_observations(Source(url=database_url, table="t"))


@pytest.mark.usefixtures("sales")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "ordre"}, r"no table 'ordre' in .*Did you mean 'order'\? Existing tables: order\."),
        ({"value": "visitor"}, r"no column 'visitor' \(value\) in table 'order' .*Did you mean 'visitors'\?"),
        ({"static": ["region"]}, r"no column 'region' \(static\)"),
        (
            {"value": "visitor", "static": ["region"]},
            r"no column 'visitor' \(value\) or 'region' \(static\) in .*Did you mean 'visitors' for 'visitor'\?",
        ),
        ({"table": None, "query": 'DELETE FROM "order"'}, "begins with 'DELETE', but a source can only be read"),
        ({"table": None, "query": 'SELECT 1; DROP TABLE "order"'}, "holds 2 statements. Keep one SELECT"),
        ({"table": None, "query": "-- nothing"}, "is empty"),
        ({"table": None, "query": "SELECT * FROM gone"}, r"The query in .* cannot be run: .*gone"),
        ({"table": None, "query": "SELECT :cutoff"}, "uses :cutoff, but only :since and :until"),
        ({"table": None, "query": 'SELECT * FROM "order" WHERE 1 = 0'}, "There are no rows in the query"),
    ],
)
def test_what_is_not_there_is_named_beside_what_is(database_url, changes, message):
    with pytest.raises(SourceError, match=message):
        read_observations(source(database_url, **changes))


def test_an_empty_table_is_told_so(database_url, run_sql):
    run_sql("CREATE TABLE t (series_id TEXT, timestamp TIMESTAMP, value REAL)")
    with pytest.raises(SourceError, match=r"There are no rows in table 't'.*nightcast import"):
        read_observations(Source(url=database_url, table="t"))


@pytest.mark.usefixtures("sales")
def test_reading_leaves_the_source_as_it_was(database_url, engine):
    def digest():
        if engine.dialect.name == "sqlite":
            with open(engine.url.database, "rb") as file:
                return hashlib.sha256(file.read()).hexdigest()
        with engine.connect() as connection:
            written = "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del), count(*) FROM pg_stat_user_tables"
            return connection.exec_driver_sql(written).all()

    before = digest()
    read_observations(source(database_url))
    for query in ('WITH gone AS (DELETE FROM "order" RETURNING *) SELECT * FROM gone', "SELECT * FROM nowhere"):
        with pytest.raises(SourceError):
            read_observations(source(database_url, table=None, query=query))
    assert digest() == before


def test_a_function_that_writes_is_refused_by_the_server(postgres_url):
    query = "SELECT lo_create(0)::text AS series_id, now() AS timestamp, 1 AS value"
    with pytest.raises((StorageError, SourceError), match="read-only transaction"):
        read_observations(Source(url=postgres_url, query=query))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give table or query; there is neither"),
        ({"table": "t", "query": "SELECT 1"}, "give table or query, not both"),
        ({"table": "t", "series_id": ["a", "a"]}, "series_id names a column twice"),
        ({"table": "t", "static": ["a", "b", "a"]}, r"static names a column twice: \['a', 'b', 'a'\]"),
        ({"table": "t", "known_future": ["a", "a"]}, "known_future names a column twice"),
        ({"table": "t", "known_future": ["value"]}, "stands under both value and known_future"),
        ({"table": "t", "value": "units", "static": ["value"]}, "has a meaning of its own"),
        ({"table": "t", "colour": "blue"}, "Extra inputs are not permitted"),
        ({"table": "t", "series_id": []}, "at least 1 item"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Source(url="sqlite:///example.db", **settings)


def test_a_source_is_described_without_its_password():
    described = describe_source(Source(url="postgresql://u:hunter2@h/d", query="sales.sql"))
    assert described == "query 'sales.sql' in postgresql+psycopg://u:***@h/d"


REVISED = """INSERT INTO t VALUES
    ('a', '2024-01-01 00:00:00', 1, '2024-01-01 20:00:00'),
    ('a', '2024-01-01 00:00:00', 10, '2024-01-05 09:00:00'),
    ('a', '2024-01-02 00:00:00', 2, NULL),
    ('a', '2024-01-02 00:00:00', NULL, '2024-01-06 09:00:00'),
    ('b', '2024-01-02 00:00:00', 3, '2024-01-07 09:00:00')"""


def known(parts, moment):
    """(id, day, value) of what was known at a moment, in order."""
    rows = read_observations(parts, known_at=moment, time_zone="Europe/Madrid")
    return sorted((row["series_id"], row["timestamp"].day, row["value"]) for row in rows.to_pylist())


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        # Madrid is an hour before UTC: its 20:00 is 19:00.
        (datetime(2024, 1, 1, 18, 59, tzinfo=UTC), [("a", 2, 2)]),
        (datetime(2024, 1, 1, 19, 0, tzinfo=UTC), [("a", 1, 1), ("a", 2, 2)]),
        (datetime(2024, 1, 5, 12, 0, tzinfo=UTC), [("a", 1, 10), ("a", 2, 2)]),
        (datetime(2024, 1, 8, 0, 0, tzinfo=UTC), [("a", 1, 10), ("a", 2, None), ("b", 2, 3)]),
    ],
)
@pytest.mark.parametrize("query", [None, "SELECT * FROM t"], ids=["table", "query"])
def test_of_several_vintages_the_newest_counts_that_was_recorded_by_then(
    database_url, run_sql, moment, expected, query
):
    run_sql("CREATE TABLE t (series_id TEXT, timestamp TIMESTAMP, value REAL, loaded_at TIMESTAMP)", REVISED)
    parts = Source(url=database_url, table=None if query else "t", query=query, recorded_at="loaded_at")
    assert known(parts, moment) == expected
    assert read_observations(parts).num_rows == 5


@pytest.mark.usefixtures("way")
def test_rows_recorded_at_the_same_time_all_stay_for_the_audit_to_find(database_url, run_sql):
    run_sql(
        "CREATE TABLE t (series_id TEXT, timestamp TIMESTAMP, value REAL, loaded_at TIMESTAMP)",
        REVISED,
        "INSERT INTO t VALUES ('a', '2024-01-01 00:00:00', 11, '2024-01-05 09:00:00')",
    )
    parts = Source(url=database_url, table="t", recorded_at="loaded_at")
    moment = datetime(2024, 1, 5, 12, tzinfo=UTC)
    assert known(parts, moment) == [("a", 1, 10), ("a", 1, 11), ("a", 2, 2)]


@pytest.mark.usefixtures("way")
def test_where_nothing_was_known_yet_the_error_names_the_moment(database_url, run_sql):
    run_sql(
        "CREATE TABLE t (series_id TEXT, timestamp TIMESTAMP, value REAL, loaded_at TIMESTAMP)",
        "INSERT INTO t VALUES ('a', '2024-01-01 00:00:00', 1, '2024-01-05 09:00:00')",
    )
    parts = Source(url=database_url, table="t", recorded_at="loaded_at")
    with pytest.raises(NoRows, match=r"no rows in table 't' in .* known by 2024-01-02 00:00 UTC \('loaded_at'\)"):
        read_observations(parts, known_at=UNTIL)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 9)), st.integers(0, 99)
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 10),
)
def test_what_was_known_is_what_a_walk_through_the_rows_in_order_of_recording_finds(rows, moment):
    def hour(number):
        return None if number is None else datetime(2024, 1, 1, number, tzinfo=UTC)

    table = pa.table(
        {
            "series_id": pa.array([row[0] for row in rows]).dictionary_encode(),
            "timestamp": pa.array([datetime(2024, 1, row[1]) for row in rows], pa.timestamp("us")),
            "recorded_at": pa.array([hour(row[2]) for row in rows], pa.timestamp("us", "UTC")),
            "value": [row[3] for row in rows],
        }
    )
    newest: dict = {}
    for name, day, recorded, value in sorted(rows, key=lambda row: row[2] or 0):
        if (recorded or 0) <= moment:
            before = newest.get((name, day), (recorded, []))
            newest[name, day] = (recorded, [value] if before[0] != recorded else [*before[1], value])
    found = known_at(table, hour(moment))
    expected = sorted((name, day, value) for (name, day), (_, values) in newest.items() for value in values)
    assert sorted((row["series_id"], row["timestamp"].day, row["value"]) for row in found.to_pylist()) == expected


@on_sqlite
@pytest.mark.parametrize("offset", ["", "+00:00"])
def test_ids_and_errors_are_the_same_over_many_batches(database_url, run_sql, monkeypatch, offset):
    monkeypatch.setattr(database_reader, "BATCH_ROWS", 7)
    run_sql(
        "CREATE TABLE t (series_id TEXT, timestamp TEXT, value)",
        f"""WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
        INSERT INTO t SELECT 's' || (i * 7 % 31), '2024-01-01 00:00:00{offset}', i FROM n""",
    )
    parts = Source(url=database_url, table="t")
    rows = read_observations(parts)
    assert [(row["series_id"], row["value"]) for row in rows.to_pylist()] == [(f"s{i * 7 % 31}", i) for i in range(100)]
    assert len({tuple(chunk.dictionary.to_pylist()) for chunk in rows["series_id"].chunks}) == 1
    run_sql(f"INSERT INTO t VALUES ('a', '2024-01-01 00:00:00{offset}', 'oops'), (NULL, '2024-01-02', 1)")
    with pytest.raises(SourceError, match="both with and without" if offset else r"1 of 102 rows of .* have no"):
        read_observations(parts)
    run_sql(f"UPDATE t SET series_id = 'b', timestamp = '2024-01-02 00:00:00{offset}' WHERE series_id IS NULL")
    rows = read_observations(parts)
    assert [(row["series_id"], row["value"], row["value_text"]) for row in rows.to_pylist()[99:]] == [
        (f"s{99 * 7 % 31}", 99, None), ("a", None, "oops"), ("b", 1, None)
    ]  # fmt: skip


OWN_NAMES = {"store": "TEXT", "sold_at": "TIMESTAMP", "units": "REAL"}


@pytest.mark.parametrize(
    ("columns", "named", "expected"),
    [
        # One wrong: it alone is named, and no column that the job uses already is offered.
        (OWN_NAMES, {"series_id": "store", "timestamp": "sold_at", "value": "unit"},
         r"no column 'unit' \(value\) in .* Did you mean 'units'\? Name your own in the job file, as value\. Existing"),
        (OWN_NAMES, {"series_id": "store", "timestamp": "stored_at", "value": "units"},
         r"no column 'stored_at' \(timestamp\) in .* Did you mean 'sold_at'\? Name"),
        # Two wrong: each has its own suggestion.
        (OWN_NAMES, {"series_id": "stores", "timestamp": "sold_at", "value": "unit"},
         r"'stores' \(series_id\) or 'unit' \(value\) in .* Did you mean 'store' for 'stores' and 'units' for 'unit'"),
        (OWN_NAMES, {"series_id": "Store", "timestamp": "soldat", "value": "units"},
         r"Did you mean 'store' for 'Store' and 'sold_at' for 'soldat'\? Name .*, as series_id and timestamp\."),
        # One column resembles several names, and goes to the one it resembles most.
        ({"serie": "TEXT", "time": "TIMESTAMP", "series": "REAL"}, {"series_id": "series_id", "timestamp": "seriess"},
         r"or 'value' \(value\) in .* Did you mean 'serie' for 'series_id' and 'series' for 'seriess'\? Name"),
        # None is similar: nothing is offered, and all three are named.
        (OWN_NAMES, {}, r"no column 'series_id' \(series_id\) or 'timestamp' \(timestamp\) or 'value' \(value\) in "
         r"table 't' (?!.*Did you mean).*\. Name your own in the job file, as series_id and timestamp and value\."),
    ],
    ids=["one", "one, no column twice", "two", "two, by case and letters", "one for several", "all"],
)  # fmt: skip
def test_each_missing_column_has_a_suggestion_of_its_own(database_url, run_sql, columns, named, expected):
    run_sql(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    with pytest.raises(SourceError, match=expected):
        read_observations(Source(url=database_url, table="t", **named))
