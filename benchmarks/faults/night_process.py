"""The process of one night: a fork of a warm process that runs the command, and breaks it where it is told.

A fork spares each night the import of the product. Apart from that the process is that of the command: its own session,
its own output files and environment, the handlers of the command, and Python's usual end.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

STAGE_MODULES = ("flows.night.night", "flows.night.reading", "flows.night.stages")
SHOWN = "part-0.parquet"
SIGNALS = {signal.SIGINT, signal.SIGTERM}


def run_night_process(order: dict[str, Any]) -> NoReturn:
    """Run the command as an order says, in this process, which ends with it.

    Args:
        order: `arguments` of the command (or of the function `call`), `environment`, `folder` to run in, files `stdout`
            and `stderr`, and what else the night gets: `limits` (resource limits by name), `fault` (see `arrange`),
            `probe` (a file that gets the points which the night passes).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    os.setsid()
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        path = order.get(name, name)
        opened = os.open(path, flags | os.O_CREAT | os.O_APPEND if number else flags)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(order["environment"])
    tempfile.tempdir = None
    os.chdir(order["folder"])
    for name, bound in order.get("limits", {}).items():
        # Without this, a file that grows beyond its limit would end the process at once.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(getattr(resource, name), (bound, bound))
    if order.get("plain"):
        _leave_out_reports()
    if order.get("probe"):
        _probe(order["probe"], order["folder"])
    if order.get("fault"):
        arrange(order["fault"], order["folder"])
    run = _command(order)
    # A signal that came before waits until the command handles it, and one that comes after its end is too late.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    code: int | str | None = 0
    try:
        run()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    # As Python ends, but for taking each module apart, which would cost as much as the night.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(bool(code)))


def _command(order: dict[str, Any]) -> Callable[[], Any]:
    """What the process does: the command with its arguments, or the function `call` of the campaign."""
    if "call" in order:
        module, _, name = order["call"].partition(":")
        function = getattr(importlib.import_module(module), name)
        return lambda: function(*order["arguments"])
    sys.argv = ["nightcast", *order["arguments"]]
    from flows.commands.process_end import process_end
    from flows.start import expect_interrupts, main

    # This process ends here, see below: what was registered before the fork is called too.
    vars(process_end)["own"] = lambda: setattr(process_end, "is_ours", True)
    expect_interrupts()
    return main


def _leave_out_reports() -> None:
    from flows.night import stages

    vars(stages)["write_report"] = lambda night, *_: night.places.report
    vars(stages)["write_home"] = lambda places, *_: places.report


def arrange(fault: dict[str, Any], folder: str) -> None:
    """Arrange that something happens to this process at one point of its night.

    Args:
        fault: `at`, a point as `points` names it; `does`: a signal that the process sends itself there (`SIGKILL`,
            `SIGTERM`, `SIGINT`; `SIGSTOP` waits for somebody outside).
        folder: The folder whose files count.

    Raises:
        ValueError: no such point.
    """
    number = getattr(signal, fault["does"])
    kind, _, name = fault["at"].partition(":")
    done: list[bool] = []

    def act() -> None:
        if not done:
            done.append(True)
            os.kill(os.getpid(), number)

    if kind in ("before", "after"):
        _wrap_stage(name, act if kind == "before" else None, act if kind == "after" else None)
    elif kind in ("before commit", "after commit"):
        _wrap_commit(act if kind == "before commit" else None, act if kind == "after commit" else None)
    elif kind == "file":
        _at_file_event(lambda count, _: act() if count == int(name) else None, folder)
    elif kind == "shown":
        _after_rename(act)
    else:
        raise ValueError(f"No point of a night is named {fault['at']!r}.")


def stages() -> dict[str, list[Any]]:
    """The functions of `tasks/` that the night calls, by name, with the modules that call them."""
    found: dict[str, list[Any]] = {}
    for name in STAGE_MODULES:
        module = sys.modules[name]
        for key, value in vars(module).items():
            origin = getattr(value, "__module__", "") or ""
            if callable(value) and not isinstance(value, type) and origin.startswith("tasks."):
                found.setdefault(key, []).append(module)
    return found


def _wrap_stage(name: str, before: Callable[[], None] | None, after: Callable[[], None] | None) -> None:
    for module in stages()[name]:
        setattr(module, name, _wrapped(getattr(module, name), before, after))


def _wrap_commit(before: Callable[[], None] | None, after: Callable[[], None] | None) -> None:
    """Around the commit of the connection that wrote the forecasts."""
    from adbc_driver_manager.dbapi import Connection, Cursor

    wrote: set[int] = set()
    ingest, commit = Cursor.adbc_ingest, Connection.commit

    @functools.wraps(ingest)
    def noted(self: Any, *arguments: Any, **named: Any) -> Any:
        wrote.add(id(self._conn))
        return ingest(self, *arguments, **named)

    @functools.wraps(commit)
    def committed(self: Any) -> None:
        if id(self) in wrote and before:
            before()
        commit(self)
        if id(self) in wrote and after:
            after()

    Cursor.adbc_ingest, Connection.commit = noted, committed  # type: ignore[method-assign]


def _after_rename(act: Callable[[], None]) -> None:
    replace = os.replace

    @functools.wraps(replace)
    def replaced(source: Any, target: Any, **named: Any) -> None:
        replace(source, target, **named)
        if str(target).endswith(SHOWN):
            act()

    vars(os)["replace"] = replaced


def _wrapped(
    function: Callable[..., Any], before: Callable[[], None] | None, after: Callable[[], None] | None
) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if before:
            before()
        result = function(*arguments, **named)
        if after:
            after()
        return result

    return call


_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree"}


def _at_file_event(act: Callable[[int, str], None], folder: str) -> None:
    """Call something before each change of a file or folder below a folder, with its number, from 1."""
    count = [0]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in _CHANGES or is_write) and str(arguments[0]).startswith(folder):
            count[0] += 1
            act(count[0], event)

    sys.addaudithook(hook)


def _probe(file: str, folder: str) -> None:
    """Note each stage that the night calls, and the number of its changes of files."""
    passed: list[str] = []
    changes = [0]

    def save() -> None:
        with open(file, "w", encoding="utf-8") as out:
            json.dump({"stages": passed, "changes": changes[0]}, out)

    for name in stages():

        def note(name: str = name) -> None:
            if name not in passed:
                passed.append(name)
            save()

        _wrap_stage(name, note, None)

    def counted(count: int, event: str) -> None:
        changes[0] = count

    _at_file_event(counted, folder)
