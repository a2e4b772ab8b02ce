"""After whatever happens from the rename on, the Parquet file holds what the table holds."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import fsspec
import pandas as pd
import pytest
import sqlalchemy as sa
from fsspec.implementations.memory import MemoryFileSystem

from sql.engine.connection import transaction
from sql.errors import StorageError
from sql.output import history, publish, write
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.folder_columns import FILE, files_left_aside
from tasks.publishing.parquet_night import ParquetNight, night_folder
from tasks.publishing.publish import Publication
from tasks.publishing.publish import publish as publish_night
from tasks.run.crash_cleanup import clear_up
from tasks.settings import Output
from tasks.store.night_file import save_night
from tasks.store.places import Places

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
JOB = {"name": "sales", "source": {"url": "sqlite://", "table": "sold"}, "forecast": {"frequency": "D", "horizon": 3}}
# Every third line is interrupted; all of them take a minute more.
STRIDE = 3
PUBLISHING = ("/tasks/publishing/parquet_night.py", "/sql/output/publish.py")


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    """Both ways that rows take into the table."""
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(publish, "adbc_connection", lambda url: None)


@pytest.fixture
def publish_run(forecast_rows, tmp_path) -> Callable[..., Publication]:
    """Publishes a night as a run of this name, with its row in the table `run`."""

    def publish_it(places: Places, run_id: str, value: float, cutoff: datetime = CUTOFF) -> Publication:
        job, ledger, file = Job.model_validate(JOB), Ledger(places), tmp_path / f"{run_id}.parquet"
        write.start_run(places.engine(), run_id, "sales", cutoff, cutoff)
        night = Night(job, file, places, ledger, run_id, "nightly", None, "auto", cutoff, cutoff, tmp_path, cutoff)
        return publish_night(night, save_night([forecast_rows(cutoff, value=value, run_id=run_id)], file))

    return publish_it


def in_table(places: Places, cutoff: datetime = CUTOFF) -> list[tuple[str, float]]:
    """Runs and values of one night in the table."""
    rows = history.forecast_of(places.engine(), "sales", cutoff)
    return sorted(zip(rows["run_id"].to_pylist(), rows["median"].to_pylist(), strict=True))


def in_file(places: Places, cutoff: datetime = CUTOFF) -> list[tuple[str, float]]:
    """The same in the Parquet file."""
    system, folder = fsspec.core.url_to_fs(night_folder(places, cutoff))
    if not system.exists(f"{folder}/{FILE}"):
        return []
    with system.open(f"{folder}/{FILE}") as stream:
        frame = pd.read_parquet(stream)
    return sorted(zip(frame["run_id"], frame["median"], strict=True))


def copies(places: Places, cutoff: datetime = CUTOFF) -> list[Path]:
    """What lies beside the night's file."""
    return files_left_aside(places.parquet, f"{night_folder(places, cutoff)}/{FILE}")


class Interrupted:
    """Interrupts publishing at its n-th line, counted from the moment in which the file is put in its place."""

    def __init__(self, line: int, times: int) -> None:
        self._left: float = line
        self._times = times
        self._is_shown = False

    def __enter__(self) -> None:
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not any(part in frame.f_code.co_filename for part in PUBLISHING):
            return None
        self._is_shown = self._is_shown or frame.f_code is ParquetNight.show.__code__
        if self._is_shown and event == "line":
            self._left -= 1
            if self._left < 0:
                sys.settrace(None)
                for _ in range(self._times):
                    os.kill(os.getpid(), signal.SIGINT)
        return self._trace


def interrupt_every_line(places: Places, publish_run: Callable[..., Publication], times: int, every: int = 0) -> None:
    """Publish again and again, interrupted this many times at each line in turn, until all lines had their turn.

    Every night of the loop is a first one where `every` is 1, and the same night again where it is 0.
    """
    publish_run(places, "before", -1.0)
    seen, after = set(), in_table(places)
    for line in range(0, 200, STRIDE):
        cutoff = CUTOFF + timedelta(days=line * every)
        before = in_table(places, cutoff) if every else after
        try:
            with Interrupted(line, times):
                publish_run(places, f"r{line}", float(line), cutoff)
        except KeyboardInterrupt:
            pass
        else:
            break
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if times > 1:
            gc.collect()
            clear_up(places)
        after = in_table(places, cutoff)
        assert after in (before, [(f"r{line}", float(line))] * 6)
        assert in_file(places, cutoff) == after
        assert is_remote(places) or copies(places, cutoff) == []
        # A single interrupt waits until the night is published. The first two lines say that it shall.
        assert times > 1 or line < 2 or after != before
        seen.add(after != before)
    assert line > 20
    # Of two, some come before the commit and some after it.
    assert times == 1 or seen == {True, False}


def is_remote(places: Places) -> bool:
    return "://" in places.parquet


@pytest.mark.usefixtures("way")
def test_an_interrupt_at_any_line_waits_until_the_night_is_published(places, publish_run):
    interrupt_every_line(places, publish_run, times=1)


# A second interrupt may leave a connection that is never closed, as a process that ends does.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("every", [0, 1], ids=["the same night again", "first nights"])
def test_after_two_interrupts_at_any_line_the_next_run_mends(publish_run, tmp_path, postgres_url, every):
    places = Places("sales", tmp_path, Output(url=postgres_url))
    interrupt_every_line(places, publish_run, 2, every)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("times", [1, 2])
def test_an_object_store_is_as_the_table_says_too(tmp_path, postgres_url, publish_run, times):
    places = Places("sales", tmp_path, Output(url=postgres_url, parquet=f"memory://lake{tmp_path}"))
    interrupt_every_line(places, publish_run, times)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("is_first", [True, False], ids=["a first night", "a night again"])
def test_a_wire_that_breaks_after_the_commit_leaves_the_night_published_by_its_own_run(
    wire, tmp_path, publish_run, is_first, caplog
):
    places = Places("sales", tmp_path, Output(url=wire.url))
    if not is_first:
        publish_run(places, "before", 1.0)
    wire.cuts = 1
    published = publish_run(places, "r1", 2.0)
    assert (published.rows, published.same_as, wire.cuts) == (6, "", 0)
    assert in_table(places) == in_file(places) == [("r1", 2.0)] * 6
    assert "The night is published, although its connection failed at the end" in caplog.text
    assert copies(places) == []


@pytest.mark.usefixtures("way")
def test_a_wire_that_breaks_before_the_commit_takes_the_file_back(wire, tmp_path, publish_run, monkeypatch):
    places = Places("sales", tmp_path, Output(url=wire.url))
    publish_run(places, "before", 1.0)
    seen = []
    monkeypatch.setattr("tasks.step.time.sleep", lambda seconds: seen.append(in_file(places)))
    wire.cuts, wire.moment = 2, "before the commit"
    assert publish_run(places, "r1", 2.0).same_as == ""
    assert seen == [[("before", 1.0)] * 6] * 2
    assert in_table(places) == in_file(places) == [("r1", 2.0)] * 6
    wire.cuts = 99
    with pytest.raises(StorageError, match="tried again for 2 minutes"):
        publish_run(places, "r2", 3.0)
    wire.cuts = 0
    assert in_table(places) == in_file(places) == [("r1", 2.0)] * 6
    assert copies(places) == []


def make_commits_do(places: Places, call: str) -> None:
    with places.engine().begin() as connection:
        connection.exec_driver_sql(
            f"CREATE FUNCTION last() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM {call}; RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            "CREATE CONSTRAINT TRIGGER last AFTER INSERT ON publication DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION last()"
        )


@pytest.mark.usefixtures("way")
def test_a_wire_that_breaks_while_the_server_commits_is_waited_for(wire, tmp_path, publish_run):
    places = Places("sales", tmp_path, Output(url=wire.url))
    publish_run(places, "before", 1.0)
    make_commits_do(places, "pg_sleep(0.5)")
    wire.cuts, wire.moment = 1, "while it commits"
    assert publish_run(places, "r1", 2.0).same_as == ""
    assert in_table(places) == in_file(places) == [("r1", 2.0)] * 6


LOCK = 4_711


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_server_commits_leaves_both_as_the_table_says(postgres_url, tmp_path, publish_run, number):
    places = Places("sales", tmp_path, Output(url=postgres_url))
    publish_run(places, "before", 1.0)
    make_commits_do(places, f"pg_advisory_xact_lock({LOCK})")
    is_locked, done = threading.Event(), threading.Event()

    def send_when_it_commits() -> None:
        # The commit waits for this lock until the signal is sent, however slow the machine is.
        waits = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted"
        with places.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
            is_locked.set()
            while not done.is_set():
                if connection.scalar(sa.text(waits)):
                    os.kill(os.getpid(), number)
                    break
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")

    before = signal.signal(number, signal.default_int_handler)
    thread = threading.Thread(target=send_when_it_commits)
    try:
        thread.start()
        assert is_locked.wait(60)
        with pytest.raises(KeyboardInterrupt):
            publish_run(places, "r1", 2.0)
    finally:
        done.set()
        thread.join()
        signal.signal(number, before)
    assert in_table(places) == in_file(places)
    assert copies(places) == []


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
@pytest.mark.parametrize("is_first", [True, False], ids=["a first night", "a night again"])
@pytest.mark.parametrize("state", ["running", "failed"])
def test_where_the_database_does_not_answer_the_next_run_mends(
    wire, tmp_path, publish_run, monkeypatch, moment, is_first, state
):
    places = Places("sales", tmp_path, Output(url=wire.url))
    if not is_first:
        publish_run(places, "before", 1.0)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    wire.cuts, wire.moment, wire.stays_away = 1, moment, True
    with pytest.raises(StorageError):
        publish_run(places, "r1", 2.0)
    assert in_file(places) == [("r1", 2.0)] * 6
    wire.repair()
    if state != "running":
        write.finish_run(places.engine(), "r1", state, CUTOFF)
    clear_up(places)
    assert in_table(places) == in_file(places)
    assert (in_table(places) == [("r1", 2.0)] * 6) == (moment == "after the commit")
    if Path(places.parquet).exists() and copies(places):
        # What a failed run whose commit was certain has left goes with the next night.
        assert (state, moment) == ("failed", "after the commit")
        publish_run(places, "r2", 3.0)
        assert copies(places) == []
    with transaction(places.engine()) as connection:
        assert connection.scalars(sa.text("SELECT publishing FROM run WHERE run_id = 'r1'")).all() == [None]


def test_a_retry_that_finds_its_own_lost_commit_reports_it_as_its_own(wire, tmp_path, publish_run, monkeypatch, caplog):
    places = Places("sales", tmp_path, Output(url=wire.url))
    publish_run(places, "before", 1.0)
    naps: list[float] = []

    def the_database_is_back_for_the_next_attempt(seconds: float) -> None:
        naps.append(seconds)
        if seconds == 2:
            wire.repair()

    monkeypatch.setattr("time.sleep", the_database_is_back_for_the_next_attempt)
    wire.cuts, wire.stays_away = 1, True
    published = publish_run(places, "r1", 2.0)
    assert (published.rows, published.same_as) == (6, "")
    assert naps == [1.0, 4.0, 1.0, 2.0]
    assert in_table(places) == in_file(places) == [("r1", 2.0)] * 6
    assert copies(places) == []
    assert "This run asks again where it tries again" in caplog.text


def test_a_file_of_another_run_is_written_again_although_it_has_as_many_rows(places, publish_run, tmp_path):
    publish_run(places, "r1", 1.0)
    file = Path(night_folder(places, CUTOFF)) / FILE
    old = file.read_bytes()
    publish_run(places, "r2", 2.0)
    file.write_bytes(old)
    assert publish_run(places, "r3", 2.0).same_as == ""
    assert in_table(places) == in_file(places) == [("r3", 2.0)] * 6
    assert publish_run(places, "r4", 2.0).same_as == "r3"


def test_rows_that_a_run_repeated_under_its_own_name_and_never_committed_are_taken_back(
    places, publish_run, forecast_rows, tmp_path
):
    publish_run(places, "r1", 1.0)
    publish.begin_publishing(places.engine(), "r1")
    night = ParquetNight(places, save_night([forecast_rows(value=2.0)], tmp_path / "again.parquet"), CUTOFF)
    night.__enter__()
    night.show()
    assert in_file(places) == [("r1", 2.0)] * 6
    night._let_go()  # as the end of its process would
    clear_up(places)
    assert in_file(places) == in_table(places) == [("r1", 1.0)] * 6
    assert copies(places) == []


def no_room(*_: object) -> None:
    raise OSError("the store takes nothing")


@pytest.mark.parametrize("lake", ["", "memory://lake"], ids=["a disk", "an object store"])
def test_a_mend_that_fails_says_so_and_is_tried_again(places, publish_run, tmp_path, monkeypatch, caplog, lake):
    replace = os.replace

    def replace_no_night(source: str | Path, target: str | Path) -> None:
        (no_room if str(target).endswith(FILE) else replace)(source, target)

    places = Places("sales", tmp_path, Output(url=places.output.url, parquet=f"{lake}{tmp_path}/forecasts"))
    publish_run(places, "r1", 1.0)
    night = f"{night_folder(places, CUTOFF)}/{FILE}"
    with fsspec.open(night) as stream:
        old = stream.read()
    publish_run(places, "r2", 2.0)
    publish.begin_publishing(places.engine(), "r2")
    with fsspec.open(night, "wb") as stream:
        stream.write(old)
    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", no_room)
        patch.setattr("os.replace", replace_no_night)
        clear_up(places)
    assert "could not be mended: the store takes nothing" in caplog.text
    assert "is published" not in caplog.text
    assert (in_file(places)[0], in_table(places)[0]) == (("r1", 1.0), ("r2", 2.0))
    assert publish.unsettled_runs(places.engine(), "sales") == [{"run_id": "r2", "cutoff": CUTOFF}]
    clear_up(places)
    assert in_file(places) == in_table(places)
    assert publish.unsettled_runs(places.engine(), "sales") == []
