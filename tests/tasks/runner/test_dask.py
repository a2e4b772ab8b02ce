"""Shards forecast by a real Dask cluster: a scheduler on TCP, and workers in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from scipy.special import ndtr

from models.calibration.evaluation_counts import EDGES
from models.calibration.evidence import Evidence
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import Layer, NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit
from sql.migrations.migrate import migrate
from sql.output import history
from sql.source.settings import Source
from tasks.forecasting import cluster_shards
from tasks.forecasting.calibration import keep_evidence
from tasks.forecasting.predict import Predicted, predict
from tasks.night.job import Job
from tasks.night.ledger import Ledger
from tasks.night.night import Night
from tasks.publishing.publish import publish
from tasks.runner.cluster import check_runner
from tasks.runner.errors import RunnerError
from tasks.runner.shared_files import fetch
from tasks.settings import Output, Runner
from tasks.store.panel_file import save_panel
from tasks.store.places import Places
from tasks.store.version_store import store_version
from tasks.training.night_model import NightModel

ROOT = Path(__file__).parents[3]
SOURCE = Source(url="sqlite:///history.db", table="sold")
CUTOFF = datetime(2024, 3, 1, tzinfo=UTC)
FORECAST = ForecastSettings(frequency="D", horizon=7, quantile_levels=[0.1, 0.5, 0.9])


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A scheduler without workers."""
    with LocalCluster(n_workers=0, processes=False, protocol="tcp", dashboard_address=None) as made:
        yield made


@contextmanager
def worker(cluster: LocalCluster, path: str = str(ROOT)) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, which dies for good when it is killed."""
    command = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address]
    options = ["--no-nanny", "--no-dashboard", "--nthreads", "1"]
    environment = os.environ | {"PYTHONPATH": path}
    process = subprocess.Popen([*command, *options], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class TrainedModel:
    """A trained model and the panel that it forecasts tonight."""

    panel: Panel
    model: Path

    def run(self, folder: Path, runner: Runner) -> tuple[Predicted, pd.DataFrame, pd.DataFrame]:
        """Forecast and publish; gives the rows of the table and of the Parquet file, but for when they were made."""
        folder.mkdir()
        places = Places("sales", folder, Output(url="sqlite:///forecasts.db"))
        migrate(places.engine())
        keep_evidence(Ledger(places), CUTOFF - timedelta(days=1), too_narrow())
        stored = store_version(self.model, places.versions, "sales", CUTOFF, "lock")
        model = NightModel("load", stored, self.model)
        job = Job(name="sales", source=SOURCE, forecast=FORECAST, runner=runner, output=places.output)
        with places.scratch("r1") as scratch:
            night = Night(
                job=job,
                file=places.base / "sales.yaml",
                places=places,
                ledger=Ledger(places),
                run_id="r1",
                kind="nightly",
                requested_cutoff=None,
                policy="never",
                now=CUTOFF,
                started_at=CUTOFF,
                scratch=scratch,
                cutoff=CUTOFF,
            )
            predicted = predict(night, save_panel(self.panel, scratch / "panel.npz"), model)
            assert publish(night, predicted.file).rows == 12 * 7
            assert {file.name for file in scratch.iterdir()} == {
                ".owner",
                "panel.npz",
                "forecast.parquet",
                "calibration.npz",
            }
        table = history.forecast_of(places.engine(), "sales", CUTOFF).to_pandas()
        return predicted, _ordered(table), _ordered(pd.read_parquet(places.parquet))


def too_narrow() -> Evidence:
    """Thirty evaluations on which actuals lay twice as far out as forecasts said."""
    evidence = Evidence.empty(np.array(FORECAST.quantile_levels), 7)
    shares = np.diff(ndtr(EDGES / 2))
    return replace(
        evidence, evaluations=np.full(7, 30.0), points=np.full(7, 360.0), counts=np.tile(30 * shares, (7, 1))
    )


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["series_id", "step"]).reset_index(drop=True).sort_index(axis=1)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Twelve weekly series, one of them refused."""
    day = np.arange(140)
    panel = Panel(
        values=np.concatenate([(i + 2) * (5 + np.sin(day * 2 * np.pi / 7 + i)) for i in range(12)]).astype(np.float32),
        offsets=np.arange(13) * 140,
        series_ids=np.array([f"s{i:02}" for i in range(12)]),
        frequency="D",
        # Days since 1970.
        cutoff_index=19_783,
        season_lengths=(7,),
        horizon=7,
        refused={"s03": "because we say so"},
    )
    network = NetworkSettings(layers=[Layer(units=4)], segment=7, context_length=14)
    forecaster, _ = fit(panel, FORECAST, network, TrainingSettings(max_steps=2))
    folder = tmp_path_factory.mktemp("model")
    forecaster.save(folder)
    return TrainedModel(panel, folder)


@pytest.fixture
def kill_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Freezes one worker at its first shard, and kills it when the other one's first part has come."""

    def arrange(observer: Client, *processes: subprocess.Popen[bytes]) -> list[str]:
        result, frozen, killed = cluster_shards._result, list[str](), list[str]()
        process_of = {
            address: next(each for each in processes if each.pid == pid)
            for address, pid in observer.run(os.getpid).items()
        }

        def freeze_and_wait(client, shard, future):
            while not frozen:
                busy = {address: keys for address, keys in client.processing().items() if keys}
                if len(busy) == 2:
                    frozen.append(next(address for address, keys in busy.items() if future.key not in keys))
                    process_of[frozen[0]].send_signal(signal.SIGSTOP)
            return result(client, shard, future)

        def fetch_and_kill(place: str, folder: Path) -> Path:
            if not killed:
                assert observer.processing()[frozen[0]]
                process_of[frozen[0]].kill()
                killed.append(frozen[0])
            return fetch(place, folder)

        monkeypatch.setattr(cluster_shards, "_result", freeze_and_wait)
        monkeypatch.setattr(cluster_shards, "fetch", fetch_and_kill)
        return killed

    return arrange


def test_a_worker_killed_in_the_middle_leaves_a_whole_night_with_every_row_once(
    night, cluster, kill_in_the_middle, tmp_path
) -> None:
    here, expected, expected_file = night.run(tmp_path / "here", Runner(shard_series=1))

    with worker(cluster) as first, worker(cluster) as second, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        killed = kill_in_the_middle(client, first, second)
        there, found, found_file = night.run(tmp_path / "there", Runner(shard_series=1, dask=cluster.scheduler_address))
        left = list(client.nthreads())

    assert len(left) == len(killed) == 1
    assert killed != left
    assert there.fallback_reasons == here.fallback_reasons == {"because we say so": 1}
    assert (len(found), len(found_file), found.duplicated(["series_id", "step"]).sum()) == (84, 84, 0)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)
    pd.testing.assert_frame_equal(found_file, expected_file, rtol=1e-5)


def test_a_worker_with_another_version_of_the_package_is_named(cluster, tmp_path) -> None:
    other = tmp_path / "nightcast-9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: nightcast\nVersion: 9.9\n", encoding="utf-8")

    with worker(cluster, f"{tmp_path}:{ROOT}"), Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
        with pytest.raises(RunnerError, match=r"1 of 2 processes .* tcp://127\.0\.0\.1:\d+ has 9\.9\. Install "):
            check_runner(Runner(dask=cluster.scheduler_address))


def test_a_cluster_without_workers_is_waited_for_and_then_named(night, cluster, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(cluster_shards, "_POLL_SECONDS", 0.1)
    monkeypatch.setattr(cluster_shards, "_NO_WORKER_SECONDS", 0.2)

    with pytest.raises(RunnerError, match=r"has had no worker for 0\.2 s\. Start some with `dask worker`"):
        night.run(tmp_path / "nobody", Runner(dask=cluster.scheduler_address))
