"""What a person sees while something takes long: a line that moves and leaves nothing behind, or a line in a log."""

from __future__ import annotations

import io
import logging
import re
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tasks import activity as activity_module
from tasks.activity import activity, line_hidden
from tasks.training.progress import training_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error of this test."""
    monkeypatch.setattr(activity_module, "SECONDS_BEFORE_FIRST", 0.0)
    monkeypatch.setattr(activity_module, "SECONDS_BETWEEN", 0.01)
    monkeypatch.setattr(activity_module, "_LINE", activity_module._Line())
    found = Terminal()
    # pytest puts its own in the place of `sys.stderr` when the test begins.
    monkeypatch.setattr(activity_module, "sys", SimpleNamespace(stderr=found))
    return found


def wait(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def screen(written: str) -> str:
    """What a terminal shows in its last line after all that was written to it, without the seconds."""
    return re.sub(r", \d+ s$", "", written.rpartition("\r")[2].removeprefix("\x1b[K"))


def test_a_line_moves_while_something_goes_on_and_nothing_stays(terminal):
    with activity("reading"):
        wait(lambda: terminal.getvalue().count("reading, ") > 2)
        with activity("reading the rows"):
            wait(lambda: screen(terminal.getvalue()).endswith("reading the rows"))
        wait(lambda: screen(terminal.getvalue()).endswith(" reading"))
    assert screen(terminal.getvalue()) == ""
    assert "activity" not in {each.name for each in threading.enumerate()}
    frames = {each[0] for each in terminal.getvalue().split("\x1b[K") if "reading" in each}
    assert len(frames) > 2


def test_what_is_written_meanwhile_stands_in_a_line_of_its_own(terminal):
    with activity("reading"):
        wait(lambda: "reading" in terminal.getvalue())
        with line_hidden():
            terminal.write("a log line\n")
            before = terminal.getvalue()
            time.sleep(0.1)
            assert terminal.getvalue() == before
        wait(lambda: screen(terminal.getvalue()).endswith(" reading"))
    assert "\r\x1b[Ka log line\n" in terminal.getvalue()


def test_a_line_is_no_longer_than_the_terminal_is_wide(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    with activity("x" * 100):
        wait(lambda: "xxx" in terminal.getvalue())
    assert {len(line) for line in terminal.getvalue().replace("\r", "").split("\x1b[K")} <= {0, 19}


def test_a_log_gets_lines_now_and_then(monkeypatch, caplog, terminal):
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    monkeypatch.setattr(activity_module, "LOGGED_AFTER", (0.0, 0.05, 3_600.0))
    caplog.set_level(logging.INFO, logger="nightcast")
    with activity("reading"):
        wait(lambda: len(caplog.records) == 2)
        time.sleep(0.1)
    assert all(re.fullmatch(r"reading: \d+ s so far", record.getMessage()) for record in caplog.records)
    assert len(caplog.records) == 2
    assert terminal.getvalue() == ""


def test_a_terminal_that_goes_away_ends_nothing(terminal, monkeypatch):
    def fail(text: str) -> int:
        raise OSError("gone")

    monkeypatch.setattr(terminal, "write", fail)
    with activity("reading"):
        wait(lambda: activity_module._LINE.is_off)
    with activity("more"):
        assert activity_module._LINE.texts == []


def test_something_moves_before_the_first_round_of_a_training(terminal):
    with training_progress(terminal):
        wait(lambda: "training: loading Keras, compiling" in terminal.getvalue())
    assert screen(terminal.getvalue()) == ""
