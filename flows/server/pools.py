"""The work pools and their queues, on whatever server PREFECT_API_URL names: `python -m flows.server.pools`.

Prefect deploys to pools that are there and to no others, so `nightcast serve` makes them first. What is there already
stays as it is: somebody may have given a pool more room, or a queue another priority.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.job.job import JobError
from flows.server.schedules import check_schedules

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@dataclass(frozen=True)
class Pool:
    """A work pool of processes.

    Attributes:
        name: As workers and deployments call it.
        description: What the UI shows.
        limit: Runs at a time, over all workers; None for as many as these take.
    """

    name: str
    description: str
    limit: int | None = None


POOLS = (
    Pool("cpu", "Nights, and whatever needs no GPU."),
    Pool("gpu", "One run at a time has the GPU. With several GPUs, one worker for each, and as many runs.", limit=1),
)
# The first one is served first.
QUEUES = {
    "nights": "What the schedule starts; goes first.",
    "people": "What somebody waits for.",
    "long": "Backfills and backtests: hours, and nobody waits.",
}


def make_pools() -> None:
    """Make the pools and queues that are missing."""
    # Prefect takes 2 s to import, and whoever starts the workers only wants the pools' names.
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        for pool in POOLS:
            _make_pool(client, pool)
            for priority, queue in enumerate(QUEUES, start=1):
                _make_queue(client, pool.name, queue, priority)


def _make_pool(client: SyncPrefectClient, pool: Pool) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        client.read_work_pool(pool.name)
    except ObjectNotFound:
        made = WorkPoolCreate(
            name=pool.name,
            type=ProcessWorker.type,
            description=pool.description,
            base_job_template=ProcessWorker.get_default_base_job_template(),
            concurrency_limit=pool.limit,
        )
        client.create_work_pool(made)


def _make_queue(client: SyncPrefectClient, pool: str, name: str, priority: int) -> None:
    from prefect.exceptions import ObjectNotFound

    try:
        client.read_work_queue_by_name(name, work_pool_name=pool)
    except ObjectNotFound:
        client.create_work_queue(name, QUEUES[name], priority=priority, work_pool_name=pool)


if __name__ == "__main__":
    make_pools()
    try:
        check_schedules(Path())
    except JobError as error:
        sys.exit(f"The pools are there, and the deployments will be refused: {error}")
