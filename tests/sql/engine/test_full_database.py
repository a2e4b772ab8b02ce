"""Databases whose disk is full: the error of the database is told, and not what went wrong after it."""

from __future__ import annotations

from contextlib import closing

import pytest
import sqlalchemy as sa

from sql.engine.connection import adbc_connection, connect, resolve_url, storage_errors, transaction
from sql.errors import StorageFull
from sql.migrations.migrate import migrate
from sql.output.publish import publish_forecast
from tasks.step import is_worth_retrying


@pytest.fixture
def engine_of_few_pages(sqlite_url):
    """A migrated SQLite database that takes ten pages more at most."""
    engine = connect(resolve_url(sqlite_url))
    migrate(engine)
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 10

    @sa.event.listens_for(engine, "connect")
    def limit(connection, record):
        connection.execute(f"PRAGMA max_page_count = {pages}")

    return engine, pages


def test_a_full_disk_under_sqlite_is_told_with_its_folder_and_never_tried_again(engine_of_few_pages, tmp_path):
    engine, _ = engine_of_few_pages
    words = rf"disk is full\. There is no space left on {tmp_path}, "
    with pytest.raises(StorageFull, match=words) as told, transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE big AS SELECT hex(zeroblob(100000)) AS a")
    assert not is_worth_retrying(told.value)
    assert not sa.inspect(engine).has_table("big")


def test_a_disk_that_is_full_while_a_night_is_published_is_told_and_leaves_no_row(
    engine_of_few_pages, make_night, monkeypatch
):
    engine, pages = engine_of_few_pages

    def limited(url):
        connection = adbc_connection(url)
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        return connection

    monkeypatch.setattr("sql.output.publish.adbc_connection", limited)
    with pytest.raises(StorageFull, match=r"Could not publish to .* database or disk is full\. There is"):
        publish_forecast(engine, make_night(series=5_000))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM forecast").scalar_one() == 0
    monkeypatch.undo()
    assert publish_forecast(engine, make_night(series=5_000)) == 15_000


def over_sqlalchemy(url, statement):
    with connect(url).begin() as connection:
        connection.exec_driver_sql(statement)


def over_adbc(url, statement):
    with closing(adbc_connection(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("execute", [over_sqlalchemy, over_adbc])
def test_a_full_disk_of_a_postgresql_server_is_told_and_never_tried_again(postgres_url, execute):
    url = resolve_url(postgres_url)
    full = "DO $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
    with (
        pytest.raises(StorageFull, match=r"no space left on the disk of its server\. Free some there\.$"),
        storage_errors(url, "write to"),
    ):
        execute(url, full)
