"""Databases that are away or locked for a while: what is tried again, for how long, and what is said."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from sql.engine import patience as module
from sql.engine import postgresql
from sql.engine.blockers import session_name
from sql.engine.bulk import Column, select
from sql.engine.connection import adbc_connection, connect, ping, resolve_url, storage_errors, transaction
from sql.engine.outage import passes
from sql.engine.patience import HASTE, Patience, before_writing, checked_before_writing, patience, patiently
from sql.errors import NotPermitted, Passes, StorageError, Unreachable

KNOWN = sa.make_url("sqlite:///a.db")
POSTGRESQL = sa.make_url("postgresql+psycopg://host/name")


def error_of(passes: Passes, text: str = "It is away.") -> StorageError:
    error = StorageError(text)
    error.passes, error.url = passes, KNOWN
    return error


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setattr(module, "_ANSWERED", {KNOWN})


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("sql.engine.patience.time.sleep", made.append)
    return made


def failing(*errors: Exception):
    """A call that raises these errors, one after the other, and then gives the number of its calls."""
    left, calls = list(errors), []

    @patiently
    def call() -> int:
        calls.append(1)
        if left:
            raise left.pop(0)
        return len(calls)

    return call


def test_what_passes_by_itself_is_tried_again_with_growing_pauses_and_one_line_at_each_end(pauses):
    said: list[str] = []
    with patience(Patience(say=said.append)):
        assert failing(*[error_of("away")] * 4)() == 5
    assert pauses == [1, 2, 4, 8]
    assert said == [
        "It is away. Trying again for up to 2 minutes.",
        "sqlite:///a.db answers again after 15 s: going on.",
    ]


def test_after_two_minutes_the_error_comes_through_and_says_so(pauses):
    with pytest.raises(StorageError, match=r"It is away\. It was tried again for 2 minutes\."):
        failing(*[error_of("away")] * 99)()
    assert sum(pauses) == pytest.approx(120)


@pytest.mark.parametrize("error", [error_of(""), NotPermitted("no right"), ValueError("bad"), OSError("file")])
def test_what_stays_is_not_tried_again(pauses, error):
    with pytest.raises(type(error)):
        failing(error)()
    assert pauses == []


def test_calls_within_a_call_are_tried_again_by_the_outer_one_alone(pauses):
    inner = failing(*[error_of("away")] * 99)
    with patience(Patience(away=3.0)), pytest.raises(StorageError, match="tried again for 3 s"):
        patiently(patiently(inner))()
    assert pauses == [1, 2]


def test_a_database_that_never_answered_is_tried_once_more(pauses):
    error = error_of("away")
    error.url = sa.make_url("sqlite:///mistyped.db")
    with pytest.raises(StorageError, match="It was tried again for 4 s"):
        failing(*[error] * 99)()
    assert pauses == [4]
    starting = error_of("away", "FATAL: the database system is starting up.")
    starting.url = error.url
    assert failing(*[starting] * 5)() == 6


def test_a_person_is_told_at_once_that_a_database_is_away(pauses):
    with patience(HASTE), pytest.raises(Unreachable, match="Could not reach"):
        ping(connect(resolve_url("postgresql://127.0.0.1:1/none")))
    assert pauses == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("08006", "away"), ("53300", "away"), ("57P01", "away"), ("57P03", "away"), ("40001", "away"),
        ("40P01", "away"), ("55P03", "locked"), ("53100", ""), ("42601", ""), ("42501", ""), ("22P05", ""),
        ("57014", ""), ("23505", ""),
    ],
)  # fmt: skip
def test_the_state_of_a_postgresql_error_says_whether_it_passes(state, expected):
    cause = psycopg.errors.lookup(state)("server closed the connection")
    assert passes(sa.exc.OperationalError("SELECT 1", {}, cause), POSTGRESQL) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('connection to server on socket "/tmp/s" failed: FATAL:  the database system is starting up', "away"),
        ("consuming input failed: server closed the connection unexpectedly", "away"),
        ('connection failed: connection to server at "::1", port 5432 failed: Connection refused', "away"),
        (
            'connection to server on socket "/s" failed: No such file or directory Is the server running locally?',
            "away",
        ),
        ("FATAL: sorry, too many clients already", "away"),
        ('failed to resolve host "nowhere": [Errno -2] Name or service not known', ""),
        ('FATAL: password authentication failed for user "me"', ""),
        ('FATAL: database "nowhere" does not exist', ""),
        ("database is locked", "locked"),
        ("database or disk is full", ""),
        ("IO Error: Could not set lock on file", "locked"),
    ],
)
def test_where_there_is_no_state_the_text_of_the_error_says_it(text, expected):
    assert passes(Exception(text), POSTGRESQL) == expected


@pytest.mark.parametrize(("code", "expected"), [(2013, "away"), (1213, "away"), (1205, "locked"), (1064, "")])
def test_the_code_of_a_mysql_error_says_it(code, expected):
    error = sa.exc.OperationalError("SELECT 1", {}, Exception(code, "text"))
    assert passes(error, sa.make_url("mysql+pymysql://host/name")) == expected


def _end_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'nightcast %' AND pid <> pg_backend_pid()"
        )


def test_a_session_that_the_server_ends_in_a_transaction_is_followed_by_another(postgres_url, pauses):
    engine, tries = connect(resolve_url(postgres_url)), []

    @patiently
    def write() -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE kept (n integer)")
            tries.append(1)
            if len(tries) == 1:
                _end_sessions(postgres_url)
            connection.exec_driver_sql("INSERT INTO kept VALUES (1)")

    write()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT n FROM kept").all() == [(1,)]
    assert (len(tries), pauses) == (2, [1])


def test_bulk_rows_that_are_cut_off_are_read_again_from_the_start(postgres_url, pauses):
    engine, tries = connect(resolve_url(postgres_url)), []

    @patiently
    def read() -> Any:
        with storage_errors(engine.url, "read from"), closing(adbc_connection(engine.url)) as connection:
            tries.append(1)
            if len(tries) == 1:
                _end_sessions(postgres_url)
            return select(connection, engine, [Column("n", "n", "integer")], "FROM generate_series(1, 3) AS t (n)")

    assert read()["n"].to_pylist() == [1, 2, 3]
    assert (len(tries), pauses) == (2, [1])


@contextmanager
def held(statement: str, url: str) -> Iterator[psycopg.Connection[Any]]:
    """Another session in a transaction that holds a lock."""
    with psycopg.connect(url, application_name="vacuuming") as other:
        other.execute(statement)
        yield other
        other.rollback()


@pytest.fixture
def table(postgres_url, monkeypatch) -> sa.Engine:
    """A table of PostgreSQL; a statement waits two seconds for its lock, and the server is asked soon who holds it."""
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", 2)
    monkeypatch.setattr("sql.engine.blockers._SECONDS_BEFORE_ASKING", 0.1)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE TABLE kept (n integer)")
    return connect(resolve_url(postgres_url))


def insert(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES (1)")


def test_the_session_that_holds_a_lock_is_named_and_when_it_lets_go_the_work_goes_on(table, postgres_url, pauses):
    said: list[str] = []
    with held("LOCK TABLE kept IN ACCESS EXCLUSIVE MODE; SELECT 'a secret'", postgres_url) as other:
        number = other.info.backend_pid

        def say(text: str) -> None:
            said.append(text)
            if "This run waits" in text:
                other.rollback()

        with patience(Patience(say=say)):
            patiently(insert)(table)
    assert said[0].endswith("Another session holds a lock that it needs. Trying again for up to 10 minutes.")
    assert f"process {number} (vacuuming) of the user" in said[1]
    assert "idle in transaction, in a transaction since 20" in said[1]
    assert "secret" not in said[1]
    assert "going on" in said[2]
    with table.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM kept").scalar_one() == 1


def test_a_lock_that_is_never_given_back_fails_with_who_holds_it_and_what_to_do(table, postgres_url, pauses):
    with held("LOCK TABLE kept IN ACCESS EXCLUSIVE MODE", postgres_url) as other, patience(Patience(locked=0.9)):
        number = other.info.backend_pid
        with pytest.raises(StorageError) as error:
            patiently(insert)(table)
    assert f"The lock is held by process {number} (vacuuming)" in str(error.value)
    assert "SELECT pg_terminate_backend" in str(error.value)


def test_bulk_rows_do_not_wait_for_ever_for_a_lock_either(table, postgres_url):
    with (
        held("LOCK TABLE kept IN ACCESS EXCLUSIVE MODE", postgres_url),
        pytest.raises(StorageError) as error,
        storage_errors(table.url, "read from"),
        closing(adbc_connection(table.url)) as connection,
    ):
        select(connection, table, [Column("n", "n", "integer")], "FROM kept")
    assert error.value.passes == "locked"


def test_a_pooler_gives_the_lock_timeout_to_each_transaction(pooled_url, table, monkeypatch):
    engine = connect(resolve_url(pooled_url))
    for _ in range(3):
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "2s"
            assert connection.exec_driver_sql("SHOW application_name").scalar_one() == session_name(engine.url)


def test_a_sqlite_file_that_another_process_writes_to_is_tried_again(sqlite_url, monkeypatch):
    monkeypatch.setattr("sql.engine.connection.BUSY_SECONDS", 0)
    engine = connect(resolve_url(sqlite_url))
    with transaction(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE kept (n integer)")
    with closing(sqlite3.connect(str(engine.url.database), isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("sql.engine.patience.time.sleep", lambda seconds: other.execute("ROLLBACK"))
        said: list[str] = []
        with patience(Patience(say=said.append)):
            patiently(insert)(engine)
    assert "database is locked" in said[0]
    assert len(said) == 2


def test_what_must_hold_is_checked_before_each_transaction_that_writes(sqlite_url):
    engine = connect(resolve_url(sqlite_url))

    def refuse() -> None:
        raise RuntimeError("not ours any more")

    with checked_before_writing(refuse):
        with pytest.raises(RuntimeError), transaction(engine):
            pass
        with checked_before_writing(None):
            before_writing()
    before_writing()


def test_the_wait_can_be_interrupted(monkeypatch):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sql.engine.patience.time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        failing(error_of("away"))()
    # The next call is tried again as the first one was.
    monkeypatch.setattr("sql.engine.patience.time.sleep", lambda seconds: None)
    assert failing(error_of("away"))() == 2


# `publish_forecast` takes parts that cannot be taken twice: the step that publishes is tried again as a whole. Nobody
# knows whether a rollback that was cut off had been done, and a second one would go further back. A rehearsal is of
# `check`, which does not wait.
NOT_REPEATED = {"publish_forecast", "rollback", "rehearse"}


def test_whatever_reads_or_writes_the_output_is_tried_again():
    wanted = set()
    for folder in ("output", "migrations"):
        for file in (Path(__file__).parents[3] / "sql" / folder).glob("*.py"):
            for function in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(function, ast.FunctionDef) and re.search(
                    r"\b(transaction|storage_errors)\(", ast.unparse(function)
                ):
                    names = {ast.unparse(each) for each in function.decorator_list}
                    wanted.add(function.name)
                    assert ("patiently" in names) == (function.name not in NOT_REPEATED), (file.name, function.name)
    assert len(wanted) > 15
    assert wanted > NOT_REPEATED
