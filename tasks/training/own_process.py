"""Train in a process of its own: its memory is free again when it ends, and what kills it does not kill the night."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.errors import TrainingFailed
from models.training.progress import Progress
from tasks.interrupts import let_through
from tasks.step import logger
from tasks.training.order import Trained

# Only the night handles these signals: a training process that ended first would look like a failed training.
_LEFT_TO_THE_NIGHT = {signal.SIGINT, signal.SIGTERM}


class TrainingCrashed(Exception):
    """Training ended with an error whose class this process does not know; the message names it."""


def train_apart(folder: Path, on_progress: Callable[[Progress], None]) -> Trained:
    """As `train`, in a process that ends with the training; its log lines are logged here.

    The process is started anew, never forked: a fork of a process with TensorFlow's threads may hang. It ends when this
    process is interrupted or killed.

    Args:
        folder: Local folder with the order, for the model's files and `trained.json`.
        on_progress: Called in this process after each round of steps.

    Raises:
        TrainingFailed: also where the process was killed; names the signal.
        Exception: what training failed with; its note holds the traceback.
    """
    # -P: no module of the current folder hides one of this package.
    command = [sys.executable, "-P", "-m", "tasks.training.child", str(folder)]
    # The new process finds the same modules.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(each) for each in sys.path)}
    failure: Mapping[str, str] | None = None
    with _started(command, environment) as child:
        for line in child.stdout or ():
            # A process that is killed may leave half a line.
            if line.endswith("\n"):
                failure = _pass_on(json.loads(line), on_progress) or failure
    if failure is not None:
        raise raised_again(failure)
    if child.returncode:
        raise TrainingFailed(f"the process that trained {_end(child.returncode)}")
    return Trained.read(folder)


@contextmanager
def _started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that Ctrl-C and SIGTERM do not reach; killed where this one is interrupted.

    Ctrl-C goes to every process of a terminal, and a service that stops sends SIGTERM to every process of its group.
    A process inherits which signals are blocked, so there is no moment in which either could end it.
    """
    let_through()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _LEFT_TO_THE_NIGHT)
    pipe = subprocess.PIPE
    try:
        with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, encoding="utf-8") as child:
            try:
                # A signal that arrived since then interrupts this process here.
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                yield child
            except BaseException:
                child.kill()
                # After Ctrl-C, `Popen` itself waits a quarter of a second only, and leaves the dead process behind.
                child.wait()
                raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _pass_on(message: dict[str, Any], on_progress: Callable[[Progress], None]) -> dict[str, str] | None:
    """Pass on a message of the process; gives the error that ended it."""
    if "progress" in message:
        on_progress(Progress(**message["progress"]))
    elif "log" in message:
        level, text = message["log"]
        logger().log(level, "%s", text)
    error: dict[str, str] | None = message.get("error")
    return error


def raised_again(described: Mapping[str, str]) -> Exception:
    """The error of the process as an exception of the same class; `TrainingCrashed` where that is not imported here."""
    # A class that is not imported here cannot be caught here. Its module may be all of TensorFlow: do not import it.
    kind = getattr(sys.modules.get(described["module"]), described["name"], None)
    try:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError
        error = kind(described["message"])
    except TypeError:
        error = TrainingCrashed(f"{described['name']}: {described['message']}")
    error.add_note(described["traceback"])
    return error


def _end(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "was killed by SIGKILL, probably because memory ran out. Lower training.max_values or training.batch_size, "
            "or give it more memory"
        )
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}; see its last lines"
