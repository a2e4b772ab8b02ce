"""Training that is handed to the pool `gpu`, without a server: its far end is called in this process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import fsspec
import pytest
import yaml

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.output import history
from tasks.store import probes
from tasks.training.gpu_pool import train_handed_over
from tasks.training.sub_flow import SubFlowFailed
from tasks.training.train import train


@pytest.fixture
def far_end(monkeypatch):
    """Does what a server would be asked for; gives the folders that were handed over."""
    folders: list[str] = []

    def do(deployment: str, name: str, parameters: dict[str, Any], **limits: float) -> None:
        folders.append(parameters["folder"])
        train_handed_over(parameters["folder"])

    monkeypatch.setattr("tasks.training.fit_model.inside_flow", lambda: True)
    monkeypatch.setattr("tasks.training.gpu_pool.run_deployed", do)
    monkeypatch.setattr("tasks.training.gpu_pool.train_apart", train)
    return folders


def test_panel_and_model_go_through_the_store_of_the_versions_where_that_has_a_url(make_job, far_end, monkeypatch):
    # A store in memory stands for a remote one: one process does all here.
    monkeypatch.delitem(probes.REFUSED, "memory")
    job = make_job(runner={"train_on": "gpu"}, output={"versions": "memory://gpu-test"})
    first = run_night(job, cutoff="2024-02-03")
    second = run_night(job, cutoff="2024-02-10", train="warm")
    assert [(night.train_mode, night.fallback_series) for night in (first, second)] == [("scratch", 1), ("warm", 1)]
    assert [folder.rpartition("/")[0] for folder in far_end] == ["memory://gpu-test/.nightcast"] * 2
    system = fsspec.filesystem("memory")
    assert not system.find("/gpu-test/.nightcast")
    assert history.champion(load_job(job).places.engine(), "small")["uri"].startswith("memory://")


@pytest.mark.parametrize("error", [SubFlowFailed("no worker has begun the run 'x'"), ConnectionResetError("gone")])
def test_a_night_goes_on_with_its_champion_where_the_gpu_gives_no_model(two_nights, far_end, monkeypatch, error):
    def fail(*arguments: object, **limits: float) -> None:
        raise error

    monkeypatch.setattr("tasks.training.gpu_pool.run_deployed", fail)
    settings = yaml.safe_load(two_nights.read_text(encoding="utf-8")) | {"runner": {"train_on": "gpu"}}
    two_nights.write_text(yaml.safe_dump(settings), encoding="utf-8")
    champion = history.champion(load_job(two_nights).places.engine(), "small")["version"]
    night = run_night(two_nights, cutoff="2024-02-11", train="warm")
    assert (night.train_mode, night.model_version, night.fallback_series) == ("load", champion, 1)
    assert night.train_reason.endswith(f"tonight takes {champion} as it was: on the pool gpu, {error}")


def test_without_a_server_the_gpu_is_here_in_a_process_of_its_own_and_one_line_says_so(make_job):
    job = make_job(runner={"train_on": "gpu"})
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, format='%(message)s'); "
        "from flows.deployments.dispatch import run_night; "
        "print(run_night(sys.argv[1]).fallback_series, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(job)], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert done.stdout == "1 False\n"
    assert len([line for line in lines if line.startswith("No Prefect server is configured, so runner.train_on")]) == 1
    # How far training was, and what was chosen, are told by the night.
    assert [line for line in lines if line.startswith("step 10 of 10, loss")]
    assert [line for line in lines if line.lstrip().startswith("at most 10 training steps of")]
