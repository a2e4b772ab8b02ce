"""Nights side by side, in processes of their own: they read and train at once, then forecast and judge in order."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from flows.job.job import LoadedJob, load_job
from flows.night.night import night, run_here
from flows.night.request import NightRequest
from flows.night.summary import NightSummary
from models.cores import CORES, cores_to_use
from models.lifecycle.retraining import Policy
from tasks.run.lock import AlreadyRuns, look_after_lock, share_lock_of_parent

_SECONDS_BETWEEN_LOOKS = 5.0
# In each process: how many nights have ended, and the condition that says so.
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
        Exception: the error of the first night that failed. Later nights that had begun came to their end.
    """
    # A fork of a process that has used TensorFlow, or has threads, may hang.
    context = multiprocessing.get_context("spawn")
    ended, changed = context.Value("q", 0, lock=False), context.Condition()
    lost = context.Value("b", 0, lock=False)
    workers = min(workers, len(cutoffs)) or 1
    cores = max(1, cores_to_use() // workers)
    pool = ProcessPoolExecutor(workers, context, _begin, (loaded.path, ended, changed, lost, cores))
    try:
        nights = [pool.submit(_run, loaded.path, *numbered, train) for numbered in enumerate(cutoffs)]
        while wait(nights, timeout=_SECONDS_BETWEEN_LOOKS, return_when=FIRST_EXCEPTION).not_done:
            if any(each.done() and each.exception() for each in nights):
                break
            look_after_lock(loaded.places)
        return [each.result() for each in nights]
    except AlreadyRuns:
        lost.value = 1
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(job: Path, ended: Any, changed: Any, lost: Any, cores: int) -> None:
    os.environ[CORES] = str(cores)
    _ORDER.update(ended=ended, changed=changed)
    share_lock_of_parent(load_job(job).places, lambda: bool(lost.value))


def _run(job: Path, number: int, cutoff: datetime, train: Policy) -> NightSummary:
    ended, changed = _ORDER["ended"], _ORDER["changed"]

    def wait_for_earlier() -> None:
        with changed:
            changed.wait_for(lambda: ended.value == number)

    try:
        return night(NightRequest(job, cutoff=cutoff, train=train), uuid4().hex, run_here, wait_for_earlier)
    finally:
        wait_for_earlier()
        with changed:
            ended.value = number + 1
            changed.notify_all()
