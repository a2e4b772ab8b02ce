"""The work of a worker of the cluster: fetch one shard, forecast it, and write its rows to a file."""

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
from tasks.forecasting.shard import CommonColumns, Method, row_parts
from tasks.printing.errors import clean_errors
from tasks.printing.logs import guard_logs
from tasks.runner.cluster import PACKAGE
from tasks.runner.errors import RunnerError
from tasks.runner.shared_files import fetch, store
from tasks.store.night_file import save_night
from tasks.store.panel_file import load_panel
from tasks.store.version_store import StoredVersion, fetch_version

# A worker with several threads gets several shards at once, but the network uses all threads for one shard.
_one_at_a_time = Lock()
_loaded: dict[StoredVersion, Forecaster] = {}


@dataclass(frozen=True)
class Shard:
    """One shard of a night, as it is sent to a worker.

    Attributes:
        panel: URL or path of the shard's panel.
        fallback: The fallback of its series.
        calibration: The calibration of its series; None for none.
        model: Tonight's model in the store, with its digest.
        columns: What all rows of the night have in common.
        package: Version of this package where the night runs.
    """

    panel: str
    fallback: Fallback
    calibration: Calibration | None
    model: StoredVersion
    columns: CommonColumns
    package: str


def forecast_part(shard: Shard) -> str:
    """Forecast a shard, and write its rows to a Parquet file beside its panel.

    Each call writes a file of its own, so that a second try does not disturb the first.

    Returns:
        The file's URL or path.

    Raises:
        RunnerError: this worker has another version of the package, or cannot see the files.
        ModelError: the model cannot be read.
    """
    # A worker logs what a call fails with, and the night gets its error.
    guard_logs()
    with clean_errors():
        return _forecast_part(shard)


def _forecast_part(shard: Shard) -> str:
    if version(PACKAGE) != shard.package:
        raise RunnerError(
            f"A worker on {os.uname().nodename} has {PACKAGE} {version(PACKAGE)}, the night {shard.package}. Install "
            f"{PACKAGE} {shard.package} there, and start the worker again."
        )
    with _one_at_a_time, TemporaryDirectory(prefix="nightcast-") as folder:
        try:
            panel = load_panel(fetch(shard.panel, Path(folder)))
        except FileNotFoundError as error:
            raise RunnerError(
                f"A worker on {os.uname().nodename} cannot see {shard.panel}. For workers on other machines, set "
                "output.versions to an s3://, gs:// or az:// URL, or output.report to a folder that all machines share."
            ) from error
        method = Method(shard.fallback, _forecaster(shard.model, Path(folder)), shard.calibration)
        parts = row_parts(method.forecast(panel), panel, shard.columns)
        return store(save_night(parts, Path(folder) / f"part-{uuid4().hex}.parquet"), shard.panel.rpartition("/")[0])


def _forecaster(model: StoredVersion, scratch: Path) -> Forecaster:
    """Tonight's model; this process loads it for the first shard and keeps it for the next ones."""
    if model not in _loaded:
        _share_cores()
        _loaded.clear()
        _loaded[model] = Forecaster.load(fetch_version(model, scratch))
    return _loaded[model]


def _share_cores() -> None:
    """Use as many cores as Dask gives this worker; otherwise each worker would use all cores of its machine."""
    from distributed import get_worker

    try:
        os.environ.setdefault(CORES, str(get_worker().state.nthreads))
    except ValueError:  # this process is not a worker
        return
