"""One job runs once at a time, and what a killed run left is cleared up by the next one."""

from __future__ import annotations

import contextvars
import fcntl
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from sql.engine.lock import job_lock
from sql.engine.patience import checked_before_writing
from sql.output import history, write
from tasks.night.ledger import Ledger
from tasks.publishing.parquet_night import ParquetNight, night_folder
from tasks.publishing.publish import publish
from tasks.run import lock as lock_module
from tasks.run.lock import AlreadyRuns, keep_lock, look_after_lock, one_at_a_time, share_lock_of_parent
from tasks.store.night_file import save_night

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


def another(places):
    """The lock of this job as another process would take it."""
    return job_lock(places.engine(), places.job, places.report.parent)


def test_a_second_run_is_refused_and_told_who_runs_it_and_since_when(places):
    other = another(places)
    assert other.acquire() is None
    who = rf"sales is being run already, by process {os.getpid()} on \S+ since 20\d\d-.* UTC\. .*second_run: queued"
    with pytest.raises(AlreadyRuns, match=who), one_at_a_time(places, "refused"):
        pass
    other.release()
    with one_at_a_time(places, "refused"):
        assert another(places).acquire() is not None
    assert other.acquire() is None
    other.release()


def test_a_second_run_that_is_queued_begins_when_the_first_has_ended(places, monkeypatch):
    other = another(places)
    assert other.acquire() is None
    waiting = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: other.release())
    monkeypatch.setattr(lock_module, "time", waiting)
    with one_at_a_time(places, "queued"):
        assert other.acquire() is not None


def test_who_looks_at_a_lock_does_not_take_it(places):
    mine, other = another(places), another(places)
    assert other.holder() is None
    assert mine.acquire() is None
    assert f"process {os.getpid()} on" in other.holder()
    assert mine.is_held()
    mine.release()
    assert other.holder() is None
    with one_at_a_time(places, "refused"):
        pass


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_night_that_begins_while_somebody_looks_at_the_file_of_its_lock_is_not_refused(places, monkeypatch):
    mine, other = another(places), another(places)
    assert mine.acquire() is None
    [file] = places.base.glob(".*.lock")
    mine.release()
    with file.open("w", encoding="utf-8") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        monkeypatch.setattr(time, "sleep", lambda seconds: fcntl.flock(looked_at, fcntl.LOCK_UN))
        assert other.acquire() is None
        other.release()


def test_another_job_in_the_same_database_does_not_wait(places):
    with one_at_a_time(places, "refused"):
        other = job_lock(places.engine(), "rents", places.report.parent)
        assert other.acquire() is None
        other.release()


def test_a_run_that_is_killed_frees_its_job_at_once(places):
    program = (
        "import sys; from pathlib import Path; from sql.engine.connection import connect, resolve_url; "
        "from sql.engine.lock import job_lock; "
        "lock = job_lock(connect(resolve_url(sys.argv[1])), 'sales', Path()); "
        "print(lock.acquire(), flush=True); input()"
    )
    arguments = [sys.executable, "-c", program, places.output.url]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "None\n"
        with pytest.raises(AlreadyRuns, match=f"process {holder.pid} on"), one_at_a_time(places, "refused"):
            pass
        holder.kill()
        holder.wait()
    with one_at_a_time(places, "queued"):
        pass


def test_nights_that_a_run_starts_itself_share_its_lock(places):
    with one_at_a_time(places, "refused"), one_at_a_time(places, "refused"):
        keep_lock(places)
        assert another(places).acquire() is not None


def test_no_file_of_a_lock_is_left(places):
    before = sorted(places.base.iterdir())
    with one_at_a_time(places, "refused"):
        pass
    assert sorted(places.base.iterdir()) == before


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lock_that_the_server_has_lost_is_taken_again_unless_somebody_else_has_it(places):
    with one_at_a_time(places, "refused"):
        # What a restart of the server does to sessions, without one.
        _end_other_sessions(places)
        keep_lock(places)
        assert another(places).acquire() is not None
        _end_other_sessions(places)
        other = another(places)
        assert other.acquire() is None
        with pytest.raises(AlreadyRuns, match="sales is being run already"):
            keep_lock(places)
        other.release()


def _end_other_sessions(places) -> None:
    with places.engine().connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_runs_that_were_killed_are_marked_as_crashed_and_their_scratch_goes(places):
    write.start_run(places.engine(), "r0", "sales", CUTOFF, CUTOFF)
    write.finish_run(places.engine(), "r0", "completed", CUTOFF)
    write.start_run(places.engine(), "r1", "sales", CUTOFF, CUTOFF)
    write.start_run(places.engine(), "r2", "rents", CUTOFF, CUTOFF)
    for job in ("sales", "rents"):
        folder = places.report.parent / ".nightcast" / job / "r"
        folder.mkdir(parents=True)
        (folder / ".owner").write_text(f"elsewhere\n{job} in {places.url_text}")
    with one_at_a_time(places, "refused"), places.scratch("r3") as scratch:
        assert [folder.name for folder in scratch.parent.iterdir()] == ["r3"]
    states = {row["run_id"]: row for job in ("sales", "rents") for row in history.runs(places.engine(), job)}
    assert {name: row["state"] for name, row in states.items()} == {"r0": "completed", "r1": "crashed", "r2": "running"}
    assert states["r1"]["error"].startswith("The process ended without a message, as if it was killed")
    assert states["r1"]["finished_at"] is None
    assert [folder.name for folder in (places.report.parent / ".nightcast").iterdir()] == ["rents"]


def files_of(places) -> dict[str, pd.DataFrame]:
    folder = Path(night_folder(places, CUTOFF))
    return {file.name: pd.read_parquet(file) for file in folder.iterdir()} if folder.exists() else {}


def killed_before_the_commit(places, rows) -> None:
    """The Parquet file of a run that was killed between its rename and the commit of the table."""
    night = ParquetNight(places, save_night([rows], places.base / "killed.parquet"), CUTOFF)
    night.__enter__()
    night.show()
    night._let_go()
    write.start_run(places.engine(), "killed", "sales", CUTOFF, CUTOFF)


def test_a_file_that_was_shown_before_its_rows_goes_again(places, forecast_rows):
    killed_before_the_commit(places, forecast_rows(run_id="killed"))
    assert len(files_of(places)) == 1
    with one_at_a_time(places, "refused"):
        assert files_of(places) == {}


def test_a_file_that_was_shown_over_the_one_of_before_is_what_the_table_says_again(places, forecast_rows, make_night):
    publish(make_night(), save_night([forecast_rows()], places.base / "before.parquet"))
    [before] = files_of(places).values()
    killed_before_the_commit(places, forecast_rows(value=2.0, run_id="killed"))
    with one_at_a_time(places, "refused"):
        [after] = files_of(places).values()
    order = ["series_id", "step"]
    pd.testing.assert_frame_equal(
        after[before.columns].sort_values(order, ignore_index=True), before.sort_values(order, ignore_index=True)
    )


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_was_read_before_the_lock_was_lost_is_read_again(places):
    ledger = Ledger(places)
    with one_at_a_time(places, "refused", ledger.forget):
        assert ledger.runs() == []
        _end_other_sessions(places)
        # Another process, which ran the job in the meantime.
        with checked_before_writing(None):
            write.start_run(places.engine(), "other", "sales", CUTOFF, CUTOFF)
        assert ledger.runs() == []
        ledger.retire("no such version", "")
        assert [row["run_id"] for row in ledger.runs()] == ["other"]


def test_processes_that_share_a_lock_write_nothing_once_another_one_has_it(places):
    lost = False

    def in_a_process_of_its_own() -> None:
        nonlocal lost
        share_lock_of_parent(places, lambda: lost)
        with one_at_a_time(places, "refused"):
            write.retire(places.engine(), "sales", "no such version", "")
            lost = True
            with pytest.raises(AlreadyRuns, match="Another process runs sales now"):
                write.retire(places.engine(), "sales", "no such version", "")

    contextvars.copy_context().run(in_a_process_of_its_own)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_process_that_others_share_its_lock_with_takes_it_again(places):
    with one_at_a_time(places, "refused"):
        _end_other_sessions(places)
        look_after_lock(places)
        assert another(places).acquire() is not None
        _end_other_sessions(places)
        other = another(places)
        assert other.acquire() is None
        with pytest.raises(AlreadyRuns, match="the database was restarted"):
            look_after_lock(places)
        other.release()
