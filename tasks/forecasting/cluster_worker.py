"""What a worker of the cluster does: fetch one shard, forecast it, and write its rows aside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from uuid import uuid4

from models.baselines.fallback import Fallback
from models.calibration.calibration import Calibration
from models.cores import CORES
from models.network.forecaster import Forecaster
from tasks.forecasting.shard import Tonight, shard_parts
from tasks.runner.cluster import PACKAGE
from tasks.runner.errors import RunnerError
from tasks.runner.shared_files import fetch, store
from tasks.store.night_file import save_night
from tasks.store.panel_file import load_panel
from tasks.store.version_store import StoredVersion, fetch_version

# A worker with several threads is given several shards at once; the network uses all its threads for one.
_one_at_a_time = Lock()
_loaded: dict[StoredVersion, Forecaster] = {}


@dataclass(frozen=True)
class Shard:
    """One shard of a night, as it is sent to a worker.

    Attributes:
        panel: URL or path of the shard's panel.
        instead: The shard's part of the whole panel's fallback.
        calibration: That of its series; None for none.
        model: Where tonight's model lies, with its digest.
        tonight: What its rows have in common with all others.
        package: Version of this package where the night runs.
    """

    panel: str
    instead: Fallback
    calibration: Calibration | None
    model: StoredVersion
    tonight: Tonight
    package: str


def forecast_part(shard: Shard) -> str:
    """Forecast a shard and write its rows to a Parquet file beside its panel; gives the file's URL or path.

    Run again, it writes another file: whoever asked takes the one that was given back.

    Raises:
        RunnerError: this worker has another version of the package, or does not see the files.
        ModelError: the model cannot be read.
    """
    if version(PACKAGE) != shard.package:
        raise RunnerError(
            f"A worker on {os.uname().nodename} has {PACKAGE} {version(PACKAGE)}, the night {shard.package}. Install "
            "that one there, and start the worker again."
        )
    with _one_at_a_time, TemporaryDirectory(prefix="nightcast-") as folder:
        try:
            panel = load_panel(fetch(shard.panel, Path(folder)))
        except FileNotFoundError as error:
            raise RunnerError(
                f"A worker on {os.uname().nodename} does not see {shard.panel}. Workers of other machines need "
                "output.versions to be s3://, gs:// or az://, or output.report in a folder that they share."
            ) from error
        forecaster = _forecaster(shard.model, Path(folder))
        parts = shard_parts(panel, shard.instead, forecaster, shard.calibration, shard.tonight)
        return store(save_night(parts, Path(folder) / f"part-{uuid4().hex}.parquet"), shard.panel.rpartition("/")[0])


def _forecaster(model: StoredVersion, scratch: Path) -> Forecaster:
    """Tonight's model, loaded by the first shard of this process and kept for the next ones."""
    if model not in _loaded:
        _share_cores()
        _loaded.clear()
        _loaded[model] = Forecaster.load(fetch_version(model, scratch))
    return _loaded[model]


def _share_cores() -> None:
    """Compute on as many cores as Dask gives this worker: left alone each would take all of its machine's."""
    from distributed import get_worker

    try:
        os.environ.setdefault(CORES, str(get_worker().state.nthreads))
    except ValueError:  # this process is no worker
        return
