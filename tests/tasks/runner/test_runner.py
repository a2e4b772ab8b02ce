"""What a job may say of its runner, and what is said where the cluster is not fit for the work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import dask
import numpy as np
import pytest
from pydantic import ValidationError

from models.baselines.fallback import Fallback
from models.errors import InputError
from tasks.forecasting import cluster_shards, cluster_worker
from tasks.runner import cluster
from tasks.runner.cluster import check_runner, connected
from tasks.runner.errors import RunnerError
from tasks.settings import Runner
from tasks.store.version_store import StoredVersion


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "tls://dask.example:8786", "tcp://[::1]:8786"])
def test_an_address_of_a_scheduler_is_understood(address: str) -> None:
    assert Runner(dask=address).dask == address


@pytest.mark.parametrize(
    "address",
    ["10.0.0.5:8786", "http://dask:8787", "tcp://dask", "tcp://:8786", "tcp://dask:port", "tcp://dask:99999"],
)
def test_what_is_no_address_is_refused_with_one_that_is(address: str) -> None:
    with pytest.raises(ValidationError, match="write tcp://HOST:PORT"):
        Runner(dask=address)


def test_an_empty_address_is_refused() -> None:
    with pytest.raises(ValidationError, match="is empty; write a name, or leave the key out"):
        Runner(dask="")


def test_a_scheduler_and_processes_at_once_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"both dask .* and processes .* keep one"):
        Runner(dask="tcp://dask:8786", processes=2)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 1)

    with pytest.raises(RunnerError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9 .*correct runner.dask"):
        check_runner(Runner(dask="tcp://127.0.0.1:9"))


@pytest.mark.parametrize("where", [{"processes": 2}, {"dask": "tcp://dask:8786"}])
def test_without_dask_installed_the_remedy_is_named(monkeypatch, where: dict[str, Any]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(InputError, match=r"Run `pip install distributed` .*requirements/dask\.txt"):
        check_runner(Runner(**where))


def test_a_worker_without_the_package_is_named() -> None:
    mine = version(cluster.PACKAGE)
    versions = {
        "scheduler": {"packages": {"nightcast": mine}},
        "workers": {"tcp://a:1": {"packages": {"nightcast": mine}}, "tcp://b:2": {"packages": {}}},
    }
    with pytest.raises(RunnerError, match=rf"nightcast {mine}, and 1 of 3 processes .* do not: tcp://b:2 has none\."):
        cluster._require_same_package(versions, "tcp://s:3")


def test_processes_share_the_cores_and_a_shard_that_kills_them_is_named(monkeypatch) -> None:
    monkeypatch.setattr(cluster, "available_cores", lambda: 4)
    shard = cluster_worker.Shard(
        "shard-0.npz", Fallback(1, 1, np.array([0.5]), None, None, np.zeros(3, int)), *[None] * 4
    )
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}), connected(Runner(processes=2)) as client:
        assert list(client.nthreads().values()) == [2, 2]
        future: Any = client.submit(lambda: os.kill(os.getpid(), 9), pure=False)
        with pytest.raises(RunnerError, match=r"A shard of 3 series brought down .* Lower runner.shard_series"):
            cluster_shards._result(client, shard, future)


def test_a_worker_loads_a_version_once_and_forgets_it_for_the_next(monkeypatch, tmp_path) -> None:
    loaded = list[object]()

    @dataclass
    class FakeForecaster:
        folder: object

        @classmethod
        def load(cls, folder: object) -> FakeForecaster:
            loaded.append(folder)
            return cls(folder)

    monkeypatch.setattr(cluster_worker, "Forecaster", FakeForecaster)
    monkeypatch.setattr(cluster_worker, "fetch_version", lambda model, scratch: model.version)
    monkeypatch.setattr(cluster_worker, "_loaded", {})
    first, second = (StoredVersion(name, f"file:///{name}", name) for name in ("v1", "v2"))

    forecasters = [cluster_worker._forecaster(model, tmp_path) for model in (first, first, second, second)]

    assert loaded == ["v1", "v2"]
    assert forecasters[0] is forecasters[1]
    assert list(cluster_worker._loaded) == [second]


def test_a_worker_that_does_not_see_the_files_says_what_it_needs(tmp_path) -> None:
    shard = cluster_worker.Shard(str(tmp_path / "shard-0.npz"), None, None, None, None, version(cluster.PACKAGE))
    with pytest.raises(
        RunnerError, match=r"cannot see .*shard-0\.npz\. For workers on other machines, set output.versions"
    ):
        cluster_worker.forecast_part(shard)


def test_a_worker_of_another_version_forecasts_nothing() -> None:
    with pytest.raises(RunnerError, match=r"has nightcast .*, the night 9\.9"):
        cluster_worker.forecast_part(cluster_worker.Shard("", None, None, None, None, "9.9"))
