import socket
import time
from contextlib import closing

import adbc_driver_manager
import pytest
import sqlalchemy as sa

from sql.engine.connection import (
    adbc_connection,
    adbc_source_connection,
    connect,
    connect_source,
    describe,
    ping,
    resolve_url,
    storage_error,
    transaction,
)
from sql.engine.patience import HASTE, patience
from sql.errors import NotPermitted, SourceError, StorageError, Unreachable


def test_a_database_that_is_there_answers(engine):
    ping(engine)


def test_a_source_cannot_be_written_over_either_way(database_url, engine, run_sql):
    run_sql("CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    url = resolve_url(database_url)
    with pytest.raises(StorageError, match=r"read-?only"), transaction(connect_source(url)) as connection:
        connection.execute(sa.text("DELETE FROM t"))
    with (
        closing(adbc_source_connection(url)) as adbc,
        adbc.cursor() as cursor,
        pytest.raises(adbc_driver_manager.Error, match=r"read-?only"),
    ):
        cursor.execute("DELETE FROM t")
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT x FROM t")).all() == [(1,)]


def test_a_transaction_that_fails_leaves_nothing_not_even_a_table(engine, run_sql):
    with pytest.raises(StorageError):
        run_sql("CREATE TABLE t (x INTEGER)", "INSERT INTO nowhere VALUES (1)")
    assert sa.inspect(engine).get_table_names() == []


def test_a_missing_sqlite_source_is_bad_input_and_is_not_made(tmp_path):
    with pytest.raises(SourceError, match=r"no SQLite file .*gone\.db"):
        connect_source(resolve_url("sqlite:///gone.db", tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_new_sqlite_output_is_made(tmp_path):
    ping(connect(resolve_url("sqlite:///new/folder/out.db", tmp_path)))
    assert (tmp_path / "new/folder/out.db").exists()


def test_an_output_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot create the folder"):
        connect(resolve_url("sqlite:///file/out.db", tmp_path))


def test_a_file_that_is_no_database_is_told_so(tmp_path):
    (tmp_path / "notes.db").write_text("not a database, but longer than the header of one" * 50)
    for way in (connect, connect_source):
        with pytest.raises(StorageError, match=r"file is not a database\. Name another file"):
            ping(way(resolve_url("sqlite:///notes.db", tmp_path)))


def test_a_server_that_is_not_there_gives_an_error_in_seconds_without_the_password():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    url = resolve_url(f"postgresql://user:hunter2@127.0.0.1:{port}/d")
    began = time.monotonic()
    with patience(HASTE), pytest.raises(Unreachable, match="Could not reach the database postgresql") as error:
        ping(connect(url))
    assert error.value.database == describe(url)
    assert "?." not in str(error.value)
    assert time.monotonic() - began < 5
    assert "hunter2" not in str(error.value)
    assert "user" in str(error.value)


def test_a_server_that_accepts_and_never_answers_gives_an_error_in_seconds():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = resolve_url(f"postgresql://user:hunter2@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=2")
        began = time.monotonic()
        with patience(HASTE), pytest.raises(StorageError, match="timeout"):
            ping(connect_source(url))
        assert time.monotonic() - began < 10


def test_an_unknown_database_and_a_missing_driver_are_bad_input():
    with pytest.raises(SourceError, match="knows no database 'oracel'"):
        connect(resolve_url("oracel://host/d"))
    with pytest.raises(SourceError, match=r"driver for .* is not installed"):
        connect(resolve_url("postgresql+pg8000://host/d"))


def test_other_databases_have_no_adbc_connection():
    url = resolve_url("mysql+pymysql://host/d")
    assert adbc_connection(url) is None
    assert adbc_source_connection(url) is None


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "UTF8"])
def test_text_of_a_database_in_any_encoding_is_the_same_through_both_drivers(postgres_url, encoding):
    name = f"in_{encoding.lower()}"
    server = connect(resolve_url(postgres_url)).execution_options(isolation_level="AUTOCOMMIT")
    url = resolve_url(postgres_url).set(database=name)
    with server.connect() as admin:
        admin.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"))
        try:
            with transaction(connect(url)) as connection:
                connection.execute(sa.text("CREATE TABLE t (shop TEXT)"))
                connection.execute(sa.text("INSERT INTO t VALUES ('Málaga')"))
            with connect_source(url).connect() as connection:
                assert connection.scalar(sa.text("SELECT shop FROM t")) == "Málaga"
            with closing(adbc_source_connection(url)) as adbc, adbc.cursor() as cursor:
                cursor.execute("SELECT shop FROM t")
                assert cursor.fetchall() == [("Málaga",)]
        finally:
            admin.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


def test_postgresql_says_by_its_state_whether_a_right_is_missing(postgres_url):
    raising = "DO $$ BEGIN RAISE EXCEPTION 'access denied to {0}' USING ERRCODE = '{0}'; END $$"
    for state, denied in (("P0001", False), ("42501", True)):
        with pytest.raises(StorageError) as error, transaction(connect(resolve_url(postgres_url))) as connection:
            connection.exec_driver_sql(raising.format(state))
        assert isinstance(error.value, NotPermitted) is denied


@pytest.mark.parametrize(
    ("reason", "denied"),
    [
        ("(1142, \"SELECT command denied to user 'me'@'h' for table 't'\")", True),
        ("permission denied for table t", True),
        ("Permission denied: user [me] does not have [SELECT] privilege", True),
        ("Can't connect to local server through socket '/run/s' ([Errno 13] Permission denied)", False),
    ],
)
def test_other_databases_say_in_words_of_what_permission_is_denied(reason, denied):
    error = storage_error(resolve_url("mysql+pymysql://me@h/d"), "read", ValueError(reason))
    assert isinstance(error, NotPermitted) is denied


def test_of_what_a_driver_says_the_statement_is_left_out_and_the_beginning_kept():
    url = resolve_url("postgresql://me@h/d")
    statement = str(
        storage_error(url, "write to", ValueError(f"too many columns on t query: CREATE TABLE {'x' * 9_000}"))
    )
    assert "too many columns on t." in statement
    assert "CREATE TABLE" not in statement
    assert len(str(storage_error(url, "write to", ValueError("y" * 1_000_000)))) < 1_500
