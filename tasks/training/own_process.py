"""Train in a process of its own: all memory comes back when it ends, and what kills it does not kill the night."""

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
from tasks.step import logger
from tasks.training.order import Trained

# Only the night decides what these two mean: training that ended first would look like training that failed.
_LEFT_TO_THE_NIGHT = {signal.SIGINT, signal.SIGTERM}


class TrainingCrashed(Exception):
    """Training ended with an error that is known in its own process alone; the message names it."""


def train_apart(folder: Path, tell: Callable[[Progress], None]) -> Trained:
    """As `train`, in a process that ends with it; its log lines are told here.

    A process is started anew, never forked: a fork of one in which TensorFlow's threads run may hang. It ends when this
    one is interrupted or killed.

    Args:
        folder: Local folder with the order; the model's files and the answer are left there.
        tell: Called here after each round of steps.

    Raises:
        TrainingFailed: also where the process was killed; says by what.
        Exception: what training failed with; its note holds the traceback.
    """
    # -P: no module of the current folder stands in the way of one of ours.
    command = [sys.executable, "-P", "-m", "tasks.training.child", str(folder)]
    # What can be imported here can be imported there.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(each) for each in sys.path)}
    failure: Mapping[str, str] | None = None
    with _started(command, environment) as child:
        for line in child.stdout or ():
            # A process that is killed may leave half a line.
            if line.endswith("\n"):
                failure = _told(json.loads(line), tell) or failure
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
                raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _told(message: dict[str, Any], tell: Callable[[Progress], None]) -> dict[str, str] | None:
    """Pass on what the process said; gives the error that ended it."""
    if "progress" in message:
        tell(Progress(**message["progress"]))
    elif "log" in message:
        level, text = message["log"]
        logger().log(level, "%s", text)
    error: dict[str, str] | None = message.get("error")
    return error


def raised_again(told: Mapping[str, str]) -> Exception:
    """The error as it was raised there, so that whoever catches it here need not know where it was raised."""
    # One that nobody here could name need not have its module imported, which may be all of TensorFlow.
    kind = getattr(sys.modules.get(told["module"]), told["name"], None)
    try:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError
        error = kind(told["message"])
    except TypeError:
        error = TrainingCrashed(f"{told['name']}: {told['message']}")
    error.add_note(told["traceback"])
    return error


def _end(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "was killed by SIGKILL, likely for want of memory. Lower training.max_values or training.batch_size, or "
            "give it more"
        )
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}; see its last lines"
