"""Ctrl-C and SIGTERM: what the command says, and what the table `run` says."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night import stages
from flows.night.backfill import Span, backfill_nights
from flows.night.night import run_here
from sql.engine.connection import transaction
from sql.output import history
from tasks.interrupts import Interrupted

# A stage that never ends, and says so; the process then prints how many interrupts each further one sends itself.
ENDLESS = """
import os, signal, sys, time
import flows.night.stages as stages, tasks.run.interruption as interruption
from flows.cli import main

def never_ends(*_):
    print("begun", flush=True)
    time.sleep(600)

def interrupted_again(*arguments, real=interruption.note_failure):
    os.kill(os.getpid(), signal.SIGINT)
    real(*arguments)

setattr(stages, sys.argv.pop(1), never_ends)
interruption.note_failure = interrupted_again
main()
"""


@pytest.fixture
def untrained(make_job, monkeypatch):
    """Makes a job that forecasts by the fallback alone, without reports."""
    monkeypatch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)
    return lambda **settings: make_job(**{"forecast": {"min_history": 10_000}, **settings})


def states(job) -> dict[int, tuple[str, str | None]]:
    """State and error of the newest run of each night."""
    rows = history.runs(load_job(job).places.engine(), "small")
    return {row["cutoff"].day: (row["state"], row["error"]) for row in reversed(rows)}


@pytest.mark.parametrize(
    ("stage", "number", "told"),
    [
        ("fit_model", signal.SIGTERM, "SIGTERM. Nothing of the night of 2024-02-01 00:00 is published. Run it again."),
        (
            "score",
            signal.SIGINT,
            "Ctrl-C. The night of 2024-02-01 00:00 is published; what comes after may be missing: scores, alerts, the "
            "report. Run it again.",
        ),
    ],
)
def test_a_night_that_is_interrupted_says_what_is_published_also_after_a_second_interrupt(
    untrained, stage, number, told
):
    job = untrained()
    command = [sys.executable, "-c", ENDLESS, stage, "run", str(job), "--cutoff", "2024-02-01", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "begun\n":
            assert process.poll() is None
        process.send_signal(number)
        answer, errors = process.communicate()
    told = f"Interrupted by {told}"
    assert (process.returncode, errors.splitlines()[-1]) == (1, told)
    assert "Traceback" not in errors
    found = json.loads(answer.splitlines()[-1])
    assert (found.pop("run_id"), found) == (
        history.runs(load_job(job).places.engine(), "small")[0]["run_id"],
        {
            "error": told,
            "exit_code": 1,
            "interrupted": True,
            "published": ["2024-02-01T00:00:00+00:00"] if stage == "score" else [],
        },
    )
    assert states(job) == {1: ("interrupted", f"ended by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}")}
    assert sorted(path.name for path in job.parent.iterdir() if path.name.startswith(".")) == []
    assert not (job.parent / "reports/.nightcast").exists()
    # It counts as a night that has to run again, and as none that runs.
    filled = backfill_nights(job, Span("2024-02-01", "2024-02-01"), run_here)
    assert [night.state for night in filled.nights] == ["unchanged" if stage == "score" else "completed"]


def handles_sigterm(process: subprocess.Popen[str]) -> bool:
    """Whether a process has a handler of its own for SIGTERM: from then on it is ready for any interrupt."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    [caught] = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_the_command_still_imports_gets_one_line_however_often_it_comes(number):
    command = [sys.executable, "-m", "flows.start", "check", "nothing", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not handles_sigterm(process):
            assert process.poll() is None
        for _ in range(3):
            process.send_signal(number)
        answer, errors = process.communicate()
    told = f"Interrupted by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}."
    assert (process.returncode, errors) == (1, f"{told}\n")
    assert json.loads(answer) == {"error": told, "exit_code": 1, "interrupted": True}


# At its end the process waits for a thread, which says so.
LINGERING = """
import threading
from flows.start import main

def linger():
    threading.main_thread().join()
    print("lingers", flush=True)
    threading.Event().wait()

threading.Thread(target=linger).start()
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["check", "nothing"], 2)])
def test_an_interrupt_after_the_answer_ends_the_process_with_the_code_of_the_answer(number, arguments, code):
    command = [sys.executable, "-c", LINGERING, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            # On a busy machine lines before the answer say how long it takes.
            *_, told = itertools.takewhile(lambda line: line != "lingers\n", process.stdout)
            # Python does not notice a signal that comes in the moment in which it begins to wait.
            while process.poll() is None:
                process.send_signal(number)
                time.sleep(0.05)
            assert (process.returncode, process.stdout.read()) == (code, "")
        finally:
            process.kill()
    assert told.startswith("-c 0" if code == 0 else "Error: No job 'nothing'")


# A stage that never ends. The interrupt comes in a finalizer, from which Python lets no error out.
FINALIZING = """
import os, sys, time
import flows.night.stages as stages
from flows.start import main

class Cursor:
    def __del__(self):
        os.kill(os.getpid(), int(number))
        for _ in range(1_000):
            pass

def never_ends(*_):
    Cursor()
    time.sleep(600)

number = sys.argv.pop(1)
stages.predict = never_ends
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_python_drops_in_a_finalizer_is_not_lost(untrained, number):
    job = untrained()
    command = [sys.executable, "-c", FINALIZING, str(int(number)), "run", str(job), "--cutoff", "2024-02-01"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "Nothing of the night of 2024-02-01 00:00 is published" in ended.stderr
    assert "ignored" not in ended.stderr
    assert states(job)[1] == ("interrupted", f"ended by {'Ctrl-C' if number == signal.SIGINT else 'SIGTERM'}")


def test_an_interrupt_that_python_turns_into_another_error_is_one_all_the_same(untrained, monkeypatch):
    class Named:
        def __set_name__(self, owner, name):
            interrupt()

    monkeypatch.setattr(stages, "predict", lambda *_: type("Class", (), {"name": Named()}))
    job = untrained()
    with pytest.raises(Interrupted, match="Nothing of the night of 2024-02-01 00:00 is published"):
        run_night(job, cutoff="2024-02-01")
    assert states(job)[1] == ("interrupted", "ended by Ctrl-C")
    answer = CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-01", "--json"])
    assert (answer.exit_code, json.loads(answer.stdout)["interrupted"]) == (1, True)


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_night_again_that_is_interrupted_names_the_run_whose_rows_stay(untrained, monkeypatch):
    job = untrained()
    first = run_night(job, cutoff="2024-02-01")
    monkeypatch.setattr(stages, "predict", interrupt)
    with pytest.raises(Interrupted, match=f"The night of 2024-02-01 00:00 stays as run {first.run_id} published it"):
        run_night(job, cutoff="2024-02-01")


def test_an_interrupted_run_leaves_no_open_transaction_that_its_own_note_would_wait_for(untrained, monkeypatch):
    job = untrained()
    run_night(job, cutoff="2024-02-01")

    def open_a_transaction(night, *_):
        # An interrupt may come between two lines, so that no `with` ends this.
        opened = transaction(night.places.engine())
        opened.__enter__().execute(sa.text("UPDATE run SET note = 'half'"))
        interrupt()

    monkeypatch.setattr(stages, "predict", open_a_transaction)
    with pytest.raises(Interrupted):
        run_night(job, cutoff="2024-02-02")
    assert states(job)[2][0] == "interrupted"


def test_a_backfill_that_is_interrupted_says_which_nights_are_published_and_which_were_not_begun(
    untrained, monkeypatch
):
    job = untrained()
    begun: list[str] = []

    def stop_at_the_third(request):
        begun.append(request.cutoff)
        if len(begun) == 3:
            monkeypatch.setattr(stages, "predict", interrupt)
        return run_here(request)

    with pytest.raises(Interrupted) as raised:
        backfill_nights(job, Span("2024-02-01", "2024-02-05"), stop_at_the_third)
    assert str(raised.value) == (
        "Interrupted by Ctrl-C. 2 of 5 nights are published, the night of 2024-02-03 00:00 had begun and is not "
        "published, 2 nights were not begun. Start the backfill again: it goes on from there."
    )
    nights = [datetime(2024, 2, day, tzinfo=UTC).isoformat() for day in range(1, 6)]
    assert raised.value.document == {"published": nights[:2], "not_published": nights[2:3], "not_begun": nights[3:]}
    assert [state for state, _ in states(job).values()] == ["completed", "completed", "interrupted"]


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["SIGTERM", "Ctrl-C in a terminal"])
def test_of_nights_side_by_side_none_begins_after_an_interrupt(untrained, send: Callable[[int, int], None]):
    job = untrained()
    run_night(job, cutoff="2024-01-01")
    days = ["--from", "2024-01-02", "--to", "2024-02-25", "--workers", "2", "--train", "never"]
    command = [sys.executable, "-m", "flows.start", "backfill", str(job), *days, "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while len(history.publications(load_job(job).places.engine(), "small")) < 3:
            assert process.poll() is None
            time.sleep(0.05)
        send(process.pid, signal.SIGTERM if send is os.kill else signal.SIGINT)
        answer, errors = process.communicate()
    assert process.returncode == 1, errors
    found = json.loads(answer.splitlines()[-1])
    there = {row["cutoff"].isoformat() for row in history.publications(load_job(job).places.engine(), "small")}
    assert set(found["published"]) == there - {"2024-01-01T00:00:00+00:00"}
    assert len(found["not_begun"]) > 30
    rows = history.runs(load_job(job).places.engine(), "small")
    assert {row["state"] for row in rows} <= {"completed", "interrupted"}
    assert not {row["cutoff"].isoformat() for row in rows} & set(found["not_begun"])
    assert "Traceback" not in errors
