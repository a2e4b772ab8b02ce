"""Nights side by side, in processes of their own: they read and train at once, then forecast and judge in order."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

from flows.job.job import LoadedJob, load_job
from flows.night.night import night, run_here
from flows.night.request import NightRequest
from flows.night.summary import NightSummary
from models.cores import CORES, cores_to_use
from models.counted import counted
from models.lifecycle.retraining import Policy
from tasks.activity import TimeLeft, activity, switch_off
from tasks.interrupts import let_through
from tasks.printing.safe import safe_line
from tasks.run.interruption import interrupted_nights
from tasks.run.lock import AlreadyRuns, look_after_lock, share_lock_of_parent
from tasks.step import logger

_SECONDS_BETWEEN_LOOKS = 5.0
_INTERRUPTS = {signal.SIGINT, signal.SIGTERM}
# In each process: how many nights have ended, the condition that says so, whether no further one may begin, and whether
# one runs here.
_ORDER: dict[str, Any] = {}


def run_side_by_side(loaded: LoadedJob, cutoffs: Sequence[datetime], train: Policy, workers: int) -> list[NightSummary]:
    """Run nights that do not depend on each other's model; for the owner of the job's lock.

    The champion, the scores of earlier nights, the calibration and the verdicts on the loss do depend on the order:
    before these, each night waits for the one before it.

    Args:
        loaded: The job.
        cutoffs: Oldest first.
        train: `never` or `scratch`.
        workers: Number of processes, which share the cores of this one.

    Raises:
        Interrupted: an interrupt ended the nights that had begun, and no other one began.
        Exception: the error of the first night that failed. Later nights that had begun came to their end.
    """
    # A fork of a process that has used TensorFlow, or has threads, may hang.
    context = multiprocessing.get_context("spawn")
    ended, changed = context.Value("q", 0, lock=False), context.Condition()
    lost, is_over = context.Value("b", 0, lock=False), context.Value("b", 0, lock=False)
    workers = min(workers, len(cutoffs)) or 1
    cores = max(1, cores_to_use() // workers)
    shared = {"ended": ended, "changed": changed, "lost": lost, "is_over": is_over}
    pool = ProcessPoolExecutor(workers, context, _begin, (loaded.path, shared, cores))
    nights = list[Future[NightSummary | None]]()
    let_through()
    try:
        # What interrupts the start of a process would break the pool; each inherits this until it is ready.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
        try:
            nights += [pool.submit(_run, loaded.path, *numbered, train) for numbered in enumerate(cutoffs)]
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        left, told = TimeLeft(len(nights), are_equal=True), 0
        with activity(f"running {counted(len(nights), 'night')} in {workers} processes"):
            while wait(nights, timeout=_SECONDS_BETWEEN_LOOKS, return_when=FIRST_EXCEPTION).not_done:
                if any(each.done() and each.exception() for each in nights):
                    break
                told += _tell_of_ended(nights[told:], left)
                look_after_lock(loaded.places)
            _tell_of_ended(nights[told:], left)
        return [summary for each in nights if (summary := each.result()) is not None]
    except AlreadyRuns:
        lost.value = 1
        raise
    except KeyboardInterrupt as interrupt:
        is_over.value = 1
        for night_process in multiprocessing.active_children():
            night_process.terminate()
        begun = sum(not each.cancel() for each in nights)
        wait(nights)
        begun -= sum(each.exception() is None and each.result() is None for each in nights if not each.cancelled())
        raise interrupted_nights(loaded.places, cutoffs, begun, interrupt) from None
    finally:
        pool.shutdown(cancel_futures=True)


def tell_of_night(summary: NightSummary, left: TimeLeft) -> None:
    """Log the night of a backfill that has ended, and how long the others will take."""
    logger().info("%s", safe_line(f"{summary.cutoff:%Y-%m-%d %H:%M}: {summary.message} ({left.next()})"))


def _tell_of_ended(nights: Sequence[Future[NightSummary | None]], left: TimeLeft) -> int:
    """Tell of the nights that have ended well since they were last looked at; gives their number. They end in order."""
    ended = [*itertools.takewhile(lambda each: each.done() and not each.exception(), nights)]
    for each in ended:
        if (summary := each.result()) is not None:
            tell_of_night(summary, left)
    return len(ended)


def _begin(job: Path, shared: Mapping[str, Any], cores: int) -> None:
    # The process that started this one says what is going on.
    switch_off()
    os.environ[CORES] = str(cores)
    _ORDER.update(shared, runs=False)
    # Ctrl-C reaches every process of a terminal: the one that started this one tells it to end, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTS)
    share_lock_of_parent(load_job(job).places, lambda: bool(shared["lost"].value))


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _ORDER["runs"]:
        raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")


def _run(job: Path, number: int, cutoff: datetime, train: Policy) -> NightSummary | None:
    """One night; None where an interrupt came before it."""
    ended, changed, is_over = _ORDER["ended"], _ORDER["changed"], _ORDER["is_over"]

    def wait_for_earlier() -> None:
        with changed:
            changed.wait_for(lambda: ended.value == number)

    try:
        _ORDER["runs"] = True
        if is_over.value:
            return None
        return night(NightRequest(job, cutoff=cutoff, train=train), uuid4().hex, run_here, wait_for_earlier)
    finally:
        _ORDER["runs"] = False
        wait_for_earlier()
        with changed:
            ended.value = number + 1
            changed.notify_all()
