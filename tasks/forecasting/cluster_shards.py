"""Let a Dask cluster forecast the shards of a night, and collect their rows in the order of the series."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa

from models.panel.panel import Panel
from models.panel.shards import shards
from tasks.forecasting.cluster_worker import Shard, forecast_part
from tasks.forecasting.shard import CommonColumns, Method
from tasks.night.night import Night
from tasks.runner.cluster import PACKAGE, connected, worker_count
from tasks.runner.errors import RunnerError
from tasks.runner.shared_files import fetch, remove, shared_folder, store
from tasks.store.night_file import night_parts
from tasks.store.panel_file import save_panel
from tasks.store.version_store import StoredVersion

if TYPE_CHECKING:
    from distributed import Client, Future

_POLL_SECONDS = 5.0
_NO_WORKER_SECONDS = 60.0
# Shards for each worker at a time: one is forecast while the next one is sent.
_AHEAD = 2


def parts_from_cluster(
    night: Night, panel: Panel, method: Method, model: StoredVersion, columns: CommonColumns
) -> Generator[pa.Table]:
    """The rows of every series, each once, in the order of the panel.

    A shard whose worker dies is forecast again by another one. Only as many shards are under way as the workers
    need, so neither the cluster nor the scratch folder holds the whole night.

    Args:
        night: Tonight; its job says where the cluster is and how large a shard.
        panel: All series.
        method: How they are forecast. Workers load the model themselves, from the store.
        model: Tonight's model in the store.
        columns: What all rows have in common.

    Raises:
        RunnerError: the scheduler does not answer or is gone, no worker is left, a worker lacks the package or the
            files, or a shard brought down every worker that tried it.
        Exception: the error of a shard.
    """
    runner = night.job.runner
    files = shared_folder(night.places, night.run_id, night.scratch, this_machine=runner.dask is None)
    with connected(runner) as client, files as shared, TemporaryDirectory(dir=night.scratch) as local:
        under_way: deque[tuple[Shard, Future[str]]] = deque()
        for number, series in enumerate(shards(len(panel), runner.shard_series)):
            file = save_panel(panel.part(series), Path(local) / f"shard-{number}.npz")
            of_shard = method.of(series)
            place = store(file, shared)
            shard = Shard(place, of_shard.fallback, of_shard.calibration, model, columns, version(PACKAGE))
            file.unlink()
            under_way.append((shard, client.submit(forecast_part, shard, pure=False)))
            while len(under_way) >= _AHEAD * max(1, worker_count(client)):
                yield from _rows(client, *under_way.popleft(), Path(local))
        while under_way:
            yield from _rows(client, *under_way.popleft(), Path(local))


def _rows(client: Client, shard: Shard, future: Future[str], local: Path) -> Generator[pa.Table]:
    """Wait for the rows of one shard, and remove its files."""
    part = _result(client, shard, future)
    file = fetch(part, local)
    with closing(night_parts(file, shard.columns.job, shard.columns.cutoff)) as tables:
        yield from tables
    file.unlink()
    remove(part)
    remove(shard.panel)


def _result(client: Client, shard: Shard, future: Future[str]) -> str:
    """Wait for a shard, as long as there are workers."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm.core import CommClosedError

    no_worker_since = None
    try:
        while True:
            try:
                return future.result(timeout=_POLL_SECONDS)
            except TimeoutError:
                if future.done():
                    # The shard has just finished, or itself failed with a TimeoutError.
                    return future.result()
            if worker_count(client):
                no_worker_since = None
            elif time.monotonic() - (no_worker_since := no_worker_since or time.monotonic()) > _NO_WORKER_SECONDS:
                raise RunnerError(
                    f"The Dask cluster at {_address(client)} has had no worker for {_NO_WORKER_SECONDS:g} s. Start "
                    "some with `dask worker`, or remove runner.dask from the job to forecast in this process."
                )
    except KilledWorker as error:
        raise RunnerError(
            f"A shard of {len(shard.fallback.group)} series brought down every worker that tried it, the last one "
            f"{error.last_worker.address}, probably because of too little memory. Lower runner.shard_series, or give "
            "the workers more memory."
        ) from error
    except ModuleNotFoundError as error:
        raise RunnerError(
            f"A worker of the Dask cluster at {_address(client)} has no {error.name}. Install {PACKAGE} "
            f"{version(PACKAGE)} there with all that it requires, and start the worker again."
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise RunnerError(
            f"The Dask scheduler at {_address(client)} ended while it had work. Start it and its workers again, and "
            "run the night again."
        ) from error


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "?"
