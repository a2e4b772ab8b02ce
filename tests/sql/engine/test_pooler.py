"""Sources and outputs of PostgreSQL behind PgBouncer, which gives each transaction any session of the server."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import adbc_driver_manager
import psycopg
import pytest
import sqlalchemy as sa

from sql.engine.connection import adbc_source_connection, connect, connect_source, resolve_url
from sql.engine.lock import job_lock
from sql.migrations.migrate import migrate
from sql.output.publish import publish_forecast
from sql.source import database_reader
from sql.source.read import Source, read_observations


@pytest.fixture(params=["postgres_url", "pooled_url"])
def source_url(request, postgres_url):
    """A source with one row and a function that writes, reached directly and through the pooler."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE sales (series_id TEXT, timestamp TIMESTAMP, value DOUBLE PRECISION)")
        connection.execute("INSERT INTO sales VALUES ('a', '2024-01-01', 1), ('a', '2024-01-02', 2)")
        connection.execute("CREATE FUNCTION wipe() RETURNS integer LANGUAGE sql AS 'DELETE FROM sales RETURNING 1'")
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(database_reader, "adbc_source_connection", lambda url: None)


@pytest.mark.usefixtures("way")
def test_a_source_behind_a_pooler_is_read(source_url):
    until = datetime(2024, 1, 1, 12, tzinfo=UTC)
    query = "SELECT * FROM sales WHERE timestamp <= :until"
    rows = read_observations(Source(url=source_url, query=query), until=until, time_zone="Asia/Tokyo")
    # Noon in UTC is nine in the evening in Tokyo, so the query that compares with its clock gives one row.
    assert rows["value"].to_pylist() == [1.0]
    rows = read_observations(Source(url=source_url, query=query), until=until, time_zone="Pacific/Kiritimati")
    assert rows["value"].to_pylist() == [1.0, 2.0]


WRITES = [
    "SELECT wipe()",
    "SELECT set_config('transaction_read_only', 'off', true), wipe()",
    "SELECT set_config('default_transaction_read_only', 'off', false), wipe()",
    "DELETE FROM sales",
    "CREATE TABLE other (x INTEGER)",
    "SELECT 1; COMMIT; DELETE FROM sales",
]


@pytest.mark.parametrize("statement", WRITES)
def test_no_statement_writes_to_a_source(source_url, statement, postgres_url):
    url = resolve_url(source_url)
    with (
        closing(adbc_source_connection(url)) as adbc,
        adbc.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error),
    ):
        cursor.execute(statement).fetchall()
    if "COMMIT" not in statement:
        with connect_source(url).connect() as connection, pytest.raises(sa.exc.DBAPIError, match=r"read-(only|write)"):
            connection.exec_driver_sql(statement)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM sales").fetchall() == [(2,)]


def test_an_output_behind_a_pooler_is_migrated_and_published_to(pooled_url, postgres_url, make_night):
    engine = connect(resolve_url(pooled_url))
    migrate(engine)
    for _ in range(2):
        publish_forecast(engine, make_night())
    with connect(resolve_url(postgres_url)).connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM latest_forecast")).scalar() == 6


@pytest.mark.parametrize(
    "ways", [("pooled_url", "pooled_url"), ("pooled_url", "postgres_url"), ("postgres_url", "pooled_url")]
)
def test_the_lock_of_a_job_behind_a_pooler_keeps_others_out_until_it_is_released(request, ways):
    first, second = (job_lock(connect(resolve_url(request.getfixturevalue(way))), "sales", Path()) for way in ways)
    other_work = connect(resolve_url(request.getfixturevalue(ways[0])))
    assert first.acquire() is None
    for _ in range(5):
        with other_work.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    assert first.is_held()
    holder = second.acquire()
    assert holder is not None
    assert holder.startswith("process ")
    first.release()
    assert second.acquire() is None
    second.release()
    assert first.acquire() is None
    first.release()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("source_url", ["pooled_url"], indirect=True)
def test_the_host_of_several_that_answers_is_read(source_url, monkeypatch):
    url = sa.make_url(source_url)
    monkeypatch.setenv("POOLER", url.query["host"])
    several = f"postgresql://{url.username}@127.0.0.1:1,${{POOLER}}:{url.query['port']}/{url.database}"
    assert read_observations(Source(url=several, table="sales")).num_rows == 2
