"""Queries as people write them, and as the database takes them apart."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from sql.engine.connection import connect_source, resolve_url
from sql.engine.statement import names_bound, single_select, with_bounds
from sql.errors import SourceError
from sql.source.read import Source, read_observations

DIALECT: sa.Dialect = postgresql.dialect()
SINCE = datetime(2024, 1, 1, tzinfo=UTC)
SINCE_TEXT = "TIMESTAMPTZ '2024-01-01 00:00:00+00:00'"


def filled(query):
    return with_bounds(single_select(query, "The query"), SINCE, None, ZoneInfo("UTC"), DIALECT, "The query")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (r"SELECT E'it\'s; :since' AS a", r"SELECT E'it\'s; :since' AS a"),
        (r"SELECT e'\\' AS a, :since AS b", rf"SELECT e'\\' AS a, {SINCE_TEXT} AS b"),
        (r"SELECT E'a''b\'' AS a", r"SELECT E'a''b\'' AS a"),
        # Without an E, a backslash is a letter.
        (r"SELECT '\' AS a, :since AS b", rf"SELECT '\' AS a, {SINCE_TEXT} AS b"),
        ("SELECT $$it's; :since$$, $a1$ $$ ; $a1$, :since", f"SELECT $$it's; :since$$, $a1$ $$ ; $a1$, {SINCE_TEXT}"),
        ("SELECT 1 /* a /* :b */ ; 'c */ AS x", "SELECT 1   AS x"),
        ("/* a /* b /* c */ */ */ SELECT 1", "SELECT 1"),
        # SQLite and MySQL do not nest comments.
        ("/* a /* b */ SELECT 1 /* c */", "SELECT 1"),
        ("SELECT :since::date, day::date, CAST(:since AS date)",
         f"SELECT {SINCE_TEXT}::date, day::date, CAST({SINCE_TEXT} AS date)"),
        ("SELECT a[1:since], a[b:since], x::since FROM t", "SELECT a[1:since], a[b:since], x::since FROM t"),
        ("\ufeffSELECT 1;", "SELECT 1"),
    ],
)  # fmt: skip
def test_quotes_comments_casts_and_slices_are_taken_apart_as_postgresql_does(query, expected):
    assert filled(query).strip() == expected


@pytest.mark.parametrize(
    "query",
    [
        r"SELECT E'\'' , 1; DELETE FROM t; SELECT '1'",
        r"SELECT E'\\'; DELETE FROM t",
        "SELECT 1 /* /* */ */; DELETE FROM t",
        "SELECT $a$ $b$ $a$; DELETE FROM t",
    ],
)
def test_a_second_statement_is_found_behind_any_quote(query):
    with pytest.raises(SourceError, match=r"statements\. Keep one SELECT"):
        single_select(query, "The query")


def test_a_bound_inside_of_an_escaped_string_is_none():
    assert not names_bound(r"SELECT E'\' :since' FROM t", "since")


def test_a_long_unclosed_comment_is_taken_apart_in_no_time():
    assert single_select("SELECT 1 " + "/* " * 2_000, "The query").startswith("SELECT 1")


def test_postgresql_runs_such_a_query(postgres_url):
    with psycopg.connect(postgres_url) as owner:
        owner.execute("CREATE TABLE sales (series_id TEXT, day DATE, value FLOAT)")
        owner.execute(
            "INSERT INTO sales VALUES ('it''s', '2023-12-31', 1), ('it''s', '2024-01-01', 2), ('b', '2024-01-01', 3)"
        )
    query = r"""/* sales /* of one shop; */ and no other */ SELECT series_id, day AS timestamp, value FROM sales
        WHERE day >= :since::date AND series_id = E'it\'s';"""
    rows = read_observations(Source(url=postgres_url, query=query), since=SINCE)
    assert rows["value"].to_pylist() == [2.0]


def test_the_check_of_a_query_runs_one_statement_even_if_its_text_were_several(postgres_url):
    engine = connect_source(resolve_url(postgres_url)).execution_options(stream_results=True)
    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="multiple commands"):
        connection.exec_driver_sql("SELECT 1; COMMIT; CREATE TABLE t (x INTEGER)")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_query_file_with_a_byte_order_mark(sqlite_url, run_query_file, encoding):
    if encoding == "utf-16":
        with pytest.raises(SourceError, match=r"sales\.sql is not text in UTF-8: .* Save it as UTF-8"):
            run_query_file(sqlite_url, encoding)
    else:
        assert run_query_file(sqlite_url, encoding) == [1.0]


@pytest.fixture
def run_query_file(tmp_path):
    """Reads a table through a query file in an encoding; gives the values."""

    def run(url, encoding):
        with sa.create_engine(url).begin() as connection:
            connection.exec_driver_sql("CREATE TABLE sales (series_id TEXT, timestamp TEXT, value REAL)")
            connection.exec_driver_sql("INSERT INTO sales VALUES ('ä', '2024-01-01', 1)")
        (tmp_path / "sales.sql").write_text("SELECT * FROM sales WHERE series_id = 'ä'", encoding=encoding)
        return read_observations(Source(url=url, query="sales.sql"), tmp_path)["value"].to_pylist()

    return run
