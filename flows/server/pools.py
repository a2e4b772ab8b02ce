"""The work pools and their queues, on whatever server PREFECT_API_URL names: `python -m flows.server.pools`.

Prefect only deploys to pools that exist, so `nightcast serve` makes them first. Pools and queues that exist stay as
they are: somebody may have changed a pool's limit or a queue's priority.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.job.job import JobError
from flows.server.prefect_file import check_schedules, prefect_file

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@dataclass(frozen=True)
class Pool:
    """A work pool of processes.

    Attributes:
        name: The name that workers and deployments use.
        description: The text that the UI shows.
        limit: Runs at a time over all workers; None for no limit.
    """

    name: str
    description: str
    limit: int | None = None


POOLS = (
    Pool("cpu", "Nights, and everything else that needs no GPU."),
    Pool(
        "gpu",
        "Runs that need the GPU. With several GPUs, start a worker for each and raise the limit.",
        limit=1,
    ),
)
# In order of priority.
QUEUES = {
    "nights": "Scheduled nights. First priority.",
    "people": "Runs that a person starts and waits for. Second priority.",
    "long": "Backfills and backtests, which take hours. Last priority.",
}


def make_pools() -> None:
    """Make the pools and queues that do not exist yet."""
    # Importing Prefect takes 2 s, and `serve` imports this module only for the names of the pools.
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
        check_schedules(file := prefect_file(Path()))
    except JobError as error:
        sys.exit(f"The pools exist, but the deployments cannot be made: {error}")
    print(f"The pools exist. Next: prefect --no-prompt deploy --all --prefect-file {shlex.quote(str(file))}")
