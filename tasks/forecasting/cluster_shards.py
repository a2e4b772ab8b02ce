"""Let a Dask cluster forecast a night's shards, and take their rows in the order of the series."""

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

from models.baselines.fallback import Fallback
from models.calibration.calibration import Calibration
from models.panel.panel import Panel
from models.panel.shards import shards
from tasks.forecasting.cluster_worker import Shard, forecast_part
from tasks.forecasting.shard import Tonight
from tasks.runner.cluster import PACKAGE, connected, worker_count
from tasks.runner.errors import RunnerError
from tasks.runner.shared_files import fetch, remove, shared_folder, store
from tasks.settings import Runner
from tasks.store.night_file import night_parts
from tasks.store.panel_file import save_panel
from tasks.store.places import Places
from tasks.store.version_store import StoredVersion

if TYPE_CHECKING:
    from distributed import Client, Future

_POLL_SECONDS = 5.0
_NO_WORKER_SECONDS = 60.0
# Shards that wait at each worker: one is forecast while the next one is on its way.
_AHEAD = 2


def parts_from_cluster(
    places: Places,
    runner: Runner,
    panel: Panel,
    instead: Fallback,
    calibration: Calibration | None,
    model: StoredVersion,
    tonight: Tonight,
    folder: Path,
) -> Generator[pa.Table]:
    """The rows of every series, each once, in the order of the panel.

    A shard whose worker dies is forecast again by another one. Only as many shards are under way as the workers
    need, so neither the cluster nor the scratch folder holds the whole night.

    Args:
        places: The job's places.
        runner: Where the cluster is, and how large a shard.
        panel: All series.
        instead: The whole panel's fallback.
        calibration: The whole panel's; None for none.
        model: Where tonight's model lies.
        tonight: What the rows have in common.
        folder: Local scratch folder of the run.

    Raises:
        RunnerError: the scheduler does not answer or has gone, no worker is left, one lacks the package or the
            files, or a shard has brought down every worker that it was given to.
        Exception: what a shard failed with.
    """
    files = shared_folder(places, tonight.run_id, folder, this_machine=runner.dask is None)
    with connected(runner) as client, files as shared, TemporaryDirectory(dir=folder) as local:
        under_way: deque[tuple[Shard, Future[str]]] = deque()
        for number, series in enumerate(shards(len(panel), runner.shard_series)):
            file = save_panel(panel.part(series), Path(local) / f"shard-{number}.npz")
            of_shard = None if calibration is None else calibration.of(series)
            shard = Shard(store(file, shared), instead.of(series), of_shard, model, tonight, version(PACKAGE))
            file.unlink()
            under_way.append((shard, client.submit(forecast_part, shard, pure=False)))
            while len(under_way) >= _AHEAD * max(1, worker_count(client)):
                yield from _rows(client, *under_way.popleft(), Path(local))
        while under_way:
            yield from _rows(client, *under_way.popleft(), Path(local))


def _rows(client: Client, shard: Shard, future: Future[str], local: Path) -> Generator[pa.Table]:
    """The rows of one shard, when they are there; its files are removed."""
    part = _result(client, shard, future)
    file = fetch(part, local)
    with closing(night_parts(file, shard.tonight.job, shard.tonight.cutoff)) as tables:
        yield from tables
    file.unlink()
    remove(part)
    remove(shard.panel)


def _result(client: Client, shard: Shard, future: Future[str]) -> str:
    """Wait for a shard, as long as there is somebody who could forecast it."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm.core import CommClosedError

    lonely_since = None
    try:
        while True:
            try:
                return future.result(timeout=_POLL_SECONDS)
            except TimeoutError:
                if future.done():
                    # It was ready just now, or the shard itself failed so.
                    return future.result()
            if worker_count(client):
                lonely_since = None
            elif time.monotonic() - (lonely_since := lonely_since or time.monotonic()) > _NO_WORKER_SECONDS:
                raise RunnerError(
                    f"The Dask cluster at {_address(client)} has had no worker for {_NO_WORKER_SECONDS:g} s. Start "
                    "some with `dask worker`, or leave runner.dask out to forecast in this process."
                )
    except KilledWorker as error:
        raise RunnerError(
            f"A shard of {len(shard.instead.group)} series has brought down each worker that it was given to, the "
            f"last one {error.last_worker.address}: likely for want of memory. Lower runner.shard_series, or give the "
            "workers more."
        ) from error
    except ModuleNotFoundError as error:
        raise RunnerError(
            f"A worker of the Dask cluster at {_address(client)} has no {error.name}. Install {PACKAGE} there from the "
            "same requirements, and start it again."
        ) from error
    except (CancelledError, CommClosedError) as error:
        raise RunnerError(
            f"The Dask scheduler at {_address(client)} has gone while it had work. Start it and its workers again, "
            "and run the night once more."
        ) from error


def _address(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "?"
