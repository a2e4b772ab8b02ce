"""Scratch belongs to a run, and goes once that run is certainly dead."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from sql.migrations.migrate import migrate
from sql.output import write
from tasks.run.crash_cleanup import clear_up
from tasks.run.lock import one_at_a_time
from tasks.settings import Output
from tasks.store.ownership import aside_of, host, make_held, owned_folder, remove_dead_folders, state_of
from tasks.store.places import Places

CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)


def left_over(folder: Path, made_on: str, lock: str) -> Path:
    """The folder of a run that was killed."""
    folder.mkdir(parents=True)
    (folder / ".owner").write_text(f"{made_on}\n{lock}", encoding="utf-8")
    return folder


def test_two_jobs_of_one_name_with_one_folder_of_reports_leave_each_others_scratch(tmp_path):
    places = [Places("sales", tmp_path, Output(url=f"sqlite:///{name}.db")) for name in "ab"]
    with one_at_a_time(places[0], "refused"), places[0].scratch("r1") as one:
        (one / "panel.arrow").touch()
        with one_at_a_time(places[1], "refused"), places[1].scratch("r2") as other:
            assert (one / "panel.arrow").exists()
            assert sorted(folder.name for folder in other.parent.iterdir()) == ["r1", "r2"]
        assert [file.name for file in sorted(one.iterdir())] == [".owner", "panel.arrow"]
    assert not (tmp_path / "reports").exists()


def test_a_database_has_one_lock_under_all_its_names(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real/x.db").touch()
    (tmp_path / "y.db").symlink_to("real/x.db")
    with one_at_a_time(Places("sales", tmp_path, Output(url="sqlite:///real/x.db")), "refused"):
        for name in ("link/x.db", "y.db"):
            with (
                pytest.raises(Exception, match="sales is being run already"),
                one_at_a_time(Places("sales", tmp_path, Output(url=f"sqlite:///{name}")), "refused"),
            ):
                pass


_KILLED = """
import sys, threading
from pathlib import Path
from tasks.store.ownership import owned_folder

with owned_folder(Path(sys.argv[1]), "another lock"):
    print("begun", flush=True)
    threading.Event().wait()
"""


def test_the_folder_of_a_living_process_stays_and_that_of_a_killed_one_goes(tmp_path):
    folder = tmp_path / "scratch/r1"
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(folder)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        remove_dead_folders(folder.parent, "my lock")
        assert folder.exists()
        process.kill()
    remove_dead_folders(folder.parent, "my lock")
    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("made_on", "lock", "days", "goes"),
    [
        (host(), "another lock", 0, True),
        ("elsewhere", "my lock", 0, True),
        ("elsewhere", "another lock", 0, False),
        ("elsewhere", "another lock", 6, False),
        ("elsewhere", "another lock", 8, True),
    ],
)
def test_a_free_lock_of_another_machine_proves_nothing_for_a_week(tmp_path, monkeypatch, made_on, lock, days, goes):
    folder = left_over(tmp_path / "scratch/r1", made_on, lock)
    now = time.time()
    monkeypatch.setattr("tasks.store.ownership.time.time", lambda: now + 86_400 * days)
    remove_dead_folders(folder.parent, "my lock")
    assert folder.exists() != goes


def test_where_a_file_system_has_no_locks_only_the_lock_of_the_job_proves_a_death(tmp_path, monkeypatch):
    folders = [
        left_over(tmp_path / f"scratch/r{n}", host(), lock) for n, lock in enumerate(["my lock", "another lock"])
    ]

    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("tasks.store.ownership.fcntl.flock", no_locks)
    assert state_of(folders[0] / ".owner") == "unknown"
    remove_dead_folders(tmp_path / "scratch", "my lock")
    assert [folder.exists() for folder in folders] == [False, True]
    with owned_folder(tmp_path / "scratch/r3", "my lock") as folder:
        assert folder.exists()


def test_a_folder_without_an_owner_is_one_that_was_just_made(tmp_path, monkeypatch):
    (tmp_path / "scratch/r1").mkdir(parents=True)
    remove_dead_folders(tmp_path / "scratch", "my lock")
    assert (tmp_path / "scratch/r1").exists()
    now = time.time()
    monkeypatch.setattr("tasks.store.ownership.time.time", lambda: now + 2 * 86_400)
    remove_dead_folders(tmp_path / "scratch", "my lock")
    assert not (tmp_path / "scratch").exists()


# The process sends itself a signal at the event of this number, among those of some kinds that are about some paths.
_SIGNALLED = """
import os, signal, sys
from pathlib import Path

def signal_at(number, events, below=""):
    left = [int(sys.argv[2])]

    def hook(event, arguments):
        if event in events and str(arguments[0]).startswith(below):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)

REMOVALS = "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir"
"""

_KILLED_EARLY = f"""{_SIGNALLED}
from tasks.store.ownership import owned_folder

signal_at(signal.SIGKILL, ("os.mkdir", "os.rename", "open"), below=sys.argv[1])
with owned_folder(Path(sys.argv[1], "scratch/r1"), "my lock"):
    print("made", flush=True)
"""


def test_wherever_a_run_is_killed_while_it_makes_its_folder_the_next_owner_of_its_lock_removes_all(tmp_path):
    for number in range(1, 20):
        command = [sys.executable, "-c", _KILLED_EARLY, str(tmp_path), str(number)]
        if subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout:
            break
        left = [*(tmp_path / "scratch").glob(".*")]
        remove_dead_folders(tmp_path / "scratch", "another lock")
        # It may be that of a living run, unless its owner's file proves that it is dead.
        assert [folder.exists() for folder in left] == [False] * len(left) or not list(left[0].glob(".owner"))
        remove_dead_folders(tmp_path / "scratch", "my lock")
        assert not (tmp_path / "scratch").exists()
    assert number > 5


_KILLED_LATE = f"""{_SIGNALLED}
from tasks.store.ownership import owned_folder

with owned_folder(Path(sys.argv[1], "scratch/r1"), "my lock") as folder:
    (folder / "training").mkdir()
    for name in ("a.arrow", "training/b.arrow", "z.arrow"):
        (folder / name).touch()
    signal_at(signal.SIGKILL, REMOVALS)
print("removed", flush=True)
"""


def test_wherever_a_run_is_killed_while_it_removes_its_folder_the_next_owner_of_its_lock_removes_the_rest(tmp_path):
    for number in range(1, 40):
        command = [sys.executable, "-c", _KILLED_LATE, str(tmp_path), str(number)]
        if subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout:
            break
        assert len(list((tmp_path / "scratch").iterdir())) <= 1
        remove_dead_folders(tmp_path / "scratch", "my lock")
        assert not (tmp_path / "scratch").exists()
    assert number > 5


_INTERRUPTED_LATE = f"""{_SIGNALLED}
from tasks.settings import Output
from tasks.store.places import Places

try:
    with Places("sales", Path(sys.argv[1]), Output()).scratch("r1") as folder:
        (folder / "a.arrow").touch()
        signal_at(signal.SIGINT, REMOVALS)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_wherever_an_interrupt_comes_while_scratch_is_removed_nothing_is_left_and_it_is_not_lost(tmp_path):
    for number in range(1, 40):
        command = [sys.executable, "-c", _INTERRUPTED_LATE, str(tmp_path), str(number)]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True).stdout
        assert not (tmp_path / "reports").exists()
        if not told:
            break
        assert told == "interrupted\n"
    assert number > 5


def test_whoever_makes_a_file_makes_it_again_where_another_takes_it_for_dead(tmp_path, monkeypatch):
    replace = os.replace
    taken: list[Path] = []

    def take(source, target):
        if len(taken) < 2:
            taken.append(source)
            source.unlink()
        replace(source, target)

    monkeypatch.setattr("tasks.store.ownership.os.replace", take)
    with make_held(tmp_path / "file", "mine"):
        assert len(taken) == 2
        assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
        assert state_of(tmp_path / "file") == "held"
    with pytest.raises(FileNotFoundError):
        make_held(tmp_path / "gone/file")


def test_a_look_at_the_lock_of_a_file_that_is_being_made_does_not_take_it(tmp_path, monkeypatch):
    flock, tries = fcntl.flock, []

    def looked_at(stream, how):
        tries.append(how)
        if len(tries) == 1:
            raise BlockingIOError
        flock(stream, how)

    monkeypatch.setattr("tasks.store.ownership.fcntl.flock", looked_at)
    with make_held(tmp_path / "file"):
        assert state_of(tmp_path / "file") == "held"


def test_a_file_is_held_from_the_moment_on_in_which_it_is_seen(tmp_path, monkeypatch):
    replace, seen = os.replace, []

    def look(source, target):
        replace(source, target)
        seen.append(state_of(Path(target)))

    monkeypatch.setattr("tasks.store.ownership.os.replace", look)
    held = make_held(tmp_path / "file")
    assert seen == ["held"]
    fcntl.flock(held, fcntl.LOCK_UN)
    assert state_of(tmp_path / "file") == "free"
    held.close()


def test_what_killed_runs_shared_or_were_storing_goes(tmp_path, monkeypatch):
    near = Places("sales", tmp_path, Output(url="sqlite:///a.db"))
    far = Places("sales", tmp_path, Output(url="sqlite:///b.db", versions=f"memory://store{tmp_path}"))
    (tmp_path / "versions/sales/v1").mkdir(parents=True)
    (tmp_path / "versions/sales/.v2.0123abcd").mkdir()
    aside_of(tmp_path / "versions/sales/v3", near.lock).mkdir()
    of_another = aside_of(tmp_path / "versions/sales/v4", far.lock)
    of_another.mkdir()
    system = fsspec.filesystem("memory")
    for run_id in ("killed", "other"):
        system.pipe_file(f"/store{tmp_path}/.nightcast/{run_id}/shard.parquet", b"rows")
    migrate(far.engine())
    write.start_run(far.engine(), "killed", "sales", CUTOFF, CUTOFF)
    clear_up(far)
    assert [file.rpartition("/")[2] for file in system.ls(f"/store{tmp_path}/.nightcast", detail=False)] == ["other"]
    clear_up(near)
    names = sorted(folder.name for folder in (tmp_path / "versions/sales").iterdir())
    assert names == [".v2.0123abcd", of_another.name, "v1"]
    now = time.time()
    monkeypatch.setattr("tasks.run.crash_cleanup.time.time", lambda: now + 2 * 86_400)
    clear_up(near)
    assert [folder.name for folder in (tmp_path / "versions/sales").iterdir()] == ["v1"]
