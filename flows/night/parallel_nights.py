"""Nights side by side, in processes of their own: they read and train at once, and forecast and are judged in order."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from flows.job.job import LoadedJob, load_job
from flows.night.night import night
from flows.night.scope import Scope
from flows.night.summary import NightSummary
from models.cores import CORES, cores_to_use
from models.lifecycle.retraining import Policy
from tasks.run.lock import in_turn_of_parent

_ORDER: dict[str, Any] = {}


def run_side_by_side(loaded: LoadedJob, cutoffs: Sequence[datetime], train: Policy, workers: int) -> list[NightSummary]:
    """Run nights that do not depend on one another's model; for whoever has the job's turn.

    Which version is the champion, what came true of the nights before, by what quantiles are calibrated, and what the
    watch says of the loss do depend on the order: for that each night waits for the one before.

    Args:
        loaded: The job.
        cutoffs: Oldest first.
        train: `never` or `scratch`.
        workers: Processes; they share this one's cores.

    Raises:
        Exception: what the first night raised that failed; later ones that had begun came to their end.
    """
    # A fork of a process that has computed with TensorFlow, or has threads, may hang.
    context = multiprocessing.get_context("spawn")
    ended, news = context.Value("q", 0, lock=False), context.Condition()
    workers = min(workers, len(cutoffs)) or 1
    cores = max(1, cores_to_use() // workers)
    pool = ProcessPoolExecutor(workers, context, _begin, (loaded.path, ended, news, cores))
    try:
        begun = [pool.submit(_run, loaded.path, *numbered, train) for numbered in enumerate(cutoffs)]
        return [each.result() for each in begun]
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(job: Path, ended: Any, news: Any, cores: int) -> None:
    os.environ[CORES] = str(cores)
    _ORDER.update(ended=ended, news=news)
    in_turn_of_parent(load_job(job).places)


def _run(job: Path, number: int, cutoff: datetime, train: Policy) -> NightSummary:
    ended, news = _ORDER["ended"], _ORDER["news"]

    def in_order() -> None:
        with news:
            news.wait_for(lambda: ended.value == number)

    try:
        now = datetime.now(UTC)
        return night(
            load_job(job), cutoff=cutoff, train=train, now=now, run_id=uuid4().hex, scope=Scope(in_order=in_order)
        )
    finally:
        in_order()
        with news:
            ended.value = number + 1
            news.notify_all()
