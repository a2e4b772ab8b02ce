"""The night under Prefect: `nightcast serve` on a free port, one server for this file."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.automations import NotifyTargetError, Patience, install
from flows.job import load_job
from flows.night import run_night
from sql import history
from tasks.notify import emit

ROOT = Path(__file__).parents[2]


class Server:
    """A running `nightcast serve`."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.api = f"http://127.0.0.1:{port}/api"
        self.environment = os.environ | {"PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(ROOT)}
        shutil.copy(ROOT / "prefect.yaml", folder)
        self.log = folder / "serve.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli", "serve", "--port", str(port)],
                cwd=folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """The answer of the server's API."""
        answer = httpx.post(f"{self.api}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def wait(self, ready: Callable[[], Any], seconds: float = 180) -> Any:
        """What `ready` gives as soon as it is something."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")[-4000:]
            try:
                if found := ready():
                    return found
            except httpx.HTTPError:
                pass  # not up yet
            time.sleep(0.5)
        raise AssertionError(f"not within {seconds} s: {self.log.read_text(encoding='utf-8')[-4000:]}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Server, pools, deployments and workers; the deployments are there."""
    running = Server(tmp_path_factory.mktemp("server"))
    try:
        running.wait(lambda: "Ctrl-C stops it" in running.log.read_text(encoding="utf-8"))
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(timeout=60)


def published(job: Path, cutoff: datetime) -> pd.DataFrame:
    rows = history.forecast_of(load_job(job).places.engine(), "small", cutoff).to_pandas()
    return rows.drop(columns=["run_id", "created_at", "model_version"]).sort_values(["series_id", "step"])


def test_a_deployment_with_a_cron_gets_scheduled_runs(server):
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    runs = server.wait(lambda: server.ask("flow_runs/filter", scheduled))
    [nightly] = server.ask("deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})
    assert {run["deployment_id"] for run in runs} == {nightly["id"]}
    local = pd.DatetimeIndex([run["expected_start_time"] for run in runs]).tz_convert("Europe/Madrid")
    assert set(local.hour) == {3}


def test_the_pools_and_deployments_of_the_project_are_there(server):
    names = {row["name"] for row in server.ask("deployments/filter", {})}
    assert names == {"nightly", "nightly-gpu", "backfill"}
    assert {row["name"] for row in server.ask("work_pools/filter", {})} >= {"cpu", "gpu"}


def test_plain_functions_and_prefect_give_the_same_rows(server, two_nights, tmp_path):
    other = shutil.copytree(two_nights.parent, tmp_path / "under_prefect") / two_nights.name
    plain = run_night(two_nights, cutoff="2024-02-17", train="scratch")
    arguments = ["run", str(other), "--cutoff", "2024-02-17", "--train", "scratch", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        env=server.environment | {"PREFECT_API_URL": server.api},
        capture_output=True,
        text=True,
        check=True,
    )
    flow = json.loads(done.stdout)
    pd.testing.assert_frame_equal(published(other, plain.cutoff), published(two_nights, plain.cutoff), rtol=1e-5)
    assert (flow["message"], flow["train_mode"]) == (plain.message, plain.train_mode)
    engines = [load_job(job).places.engine() for job in (two_nights, other)]
    losses = [pd.DataFrame(history.losses(engine, "small")).drop(columns="run_id") for engine in engines]
    pd.testing.assert_frame_equal(*losses, rtol=1e-5)
    scores = [pd.DataFrame(history.scores(engine, "small")) for engine in engines]
    pd.testing.assert_frame_equal(*scores, rtol=1e-5)
    [run] = server.ask("flow_runs/filter", {"flow_runs": {"id": {"any_": [flow["run_id"]]}}})
    assert run["name"] == "small 2024-02-17"
    assert (run["state"]["type"], run["state"]["message"]) == ("COMPLETED", "1 of 7 series by fallback")


def test_a_run_from_the_ui_is_done_by_the_worker_with_steps_that_people_understand(server, two_nights):
    [nightly] = server.ask("deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})
    parameters = {"job": str(two_nights), "cutoff": "2024-02-11", "train": "never"}
    made = server.ask(f"deployments/{nightly['id']}/create_flow_run", {"parameters": parameters})

    def ended() -> Any:
        state = httpx.get(f"{server.api}/flow_runs/{made['id']}", timeout=30).json()["state"]
        return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    assert server.wait(ended)["type"] == "COMPLETED"
    assert len(published(two_nights, datetime(2024, 2, 11, tzinfo=UTC))) == 49

    def tasks() -> Any:
        found = server.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [made["id"]]}}})
        names = {task["name"] for task in found}
        wanted = {f"{stage} · small 2024-02-11" for stage in ("read history", "publish", "write report")}
        return names if wanted <= names else None

    server.wait(tasks)
    shown = server.ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [made["id"]]}}})
    artifacts = {artifact["key"]: artifact for artifact in shown}
    names = ("reading", "input", "forecasting", "night", "errors", "fallbacks")
    assert set(artifacts) == {f"small-{name}" for name in names}
    assert "steps without a row" in {row["found"] for row in json.loads(artifacts["small-input"]["data"])}
    assert artifacts["small-forecasting"]["data"] == 100
    assert artifacts["small-forecasting"]["description"] == "7 of 7 series"
    assert "7 steps of 7 series, 1 of them by fallback" in artifacts["small-night"]["data"]
    run = httpx.get(f"{server.api}/flow_runs/{made['id']}", timeout=30).json()
    assert {"nightcast", "small"} <= set(run["tags"])
    wanted = {"filter": {"event": {"name": ["nightcast.run.fallback"]}}}
    [event, *_] = server.wait(lambda: server.ask("events/filter", wanted)["events"])
    assert event["resource"]["prefect.resource.id"] == "nightcast.job.small"
    assert (event["payload"]["fallback_series"], event["payload"]["series"]) == (1, 7)
    assert (event["payload"]["segment"], event["payload"]["effect"]) == ("all", 1 / 7)
    assert event["payload"]["onset"] == "2024-02-11T00:00:00+00:00"


@pytest.mark.parametrize("wrong", [{"job": 7}, {"train": "now"}, {"cutoff": "soon"}])
def test_wrong_parameters_are_refused_before_a_run_is_made(server, wrong):
    [nightly] = server.ask("deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})
    address = f"{server.api}/deployments/{nightly['id']}/create_flow_run"
    request = {"parameters": {"job": "small"} | wrong, "enforce_parameter_schema": True}
    assert httpx.post(address, json=request).status_code in (409, 422)


def waiting_run(server: Server, deployment: str) -> str:
    """A run of a deployment that no worker takes for a year."""
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": f"{datetime.now(UTC) + timedelta(days=365)}"}}
    made = server.ask(f"deployments/{deployment}/create_flow_run", {"parameters": {"job": "none"}, "state": later})
    return str(made["id"])


def into(server: Server, run: str, kind: str) -> str:
    """Asks for another state of a run; gives the name of the one that the server let it have."""
    # Only by force does a run begin before its time.
    state = {"type": kind}
    return str(server.ask(f"flow_runs/{run}/set_state", {"state": state, "force": kind == "RUNNING"})["state"]["name"])


def test_people_are_told_and_the_slot_of_a_killed_run_is_freed(server, webhook):
    url, received, _ = webhook
    soon = timedelta(seconds=10)
    install(server.api, url, Patience(late=soon, silent=soon, success=soon))
    [nightly] = server.ask("deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})
    killed, next_one = (waiting_run(server, nightly["id"]) for _ in range(2))
    assert [into(server, killed, kind) for kind in ("PENDING", "RUNNING")] == ["Pending", "Running"]
    # One run at a time: the slot is the killed one's.
    assert into(server, next_one, "PENDING") == "AwaitingConcurrencySlot"
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: server.api}):
        patch.setenv("PREFECT_API_URL", server.api)
        words = "small, all: the loss is 31% above its past"
        assert emit("nightcast.loss.degraded", {"job": "small", "segment": "all", "message": words})
    subjects = {
        "nightcast.loss.degraded: small",
        f"{killed_name(server, killed)}: Crashed",
        "nightly: no night succeeded in time",
    }
    server.wait(lambda: subjects <= {message["title"] for message in received}, 60)
    texts = {message["title"]: message["text"] for message in received}
    assert texts["nightcast.loss.degraded: small"].endswith(words)
    assert "its process, or the machine, was probably killed" in texts[f"{killed_name(server, killed)}: Crashed"]
    assert into(server, next_one, "PENDING") == "Pending"
    assert into(server, next_one, "COMPLETED") == "Completed"
    # The other tests' runs are not to be taken for dead.
    assert {each.change for each in install(server.api, None, Patience()) if "loss" not in each.name} >= {"updated"}


def killed_name(server: Server, run: str) -> str:
    return str(httpx.get(f"{server.api}/flow_runs/{run}", timeout=30).json()["name"])


def test_automations_are_installed_once_and_a_paused_one_stays_paused(server):
    before = server.ask("automations/filter", {})
    [late] = [each for each in before if each["name"] == "nightcast: a run is late"]
    httpx.patch(f"{server.api}/automations/{late['id']}", json={"enabled": False}, timeout=30).raise_for_status()
    done = install(server.api)
    assert {each.change for each in done} == {"unchanged"}
    assert [each.name for each in done if not each.enabled] == ["nightcast: a run is late"]
    done = install(server.api, None, Patience(late=timedelta(minutes=3)))
    assert [each.name for each in done if each.change == "updated"] == ["nightcast: a run is late"]
    after = server.ask("automations/filter", {})
    assert {each["id"] for each in after} == {each["id"] for each in before}
    assert [each["name"] for each in after if not each["enabled"]] == ["nightcast: a run is late"]


def test_a_target_that_is_neither_address_nor_block_is_refused(server):
    with pytest.raises(NotifyTargetError, match=r"no notification block slack-webhook/operations\. Give an http"):
        install(server.api, "slack-webhook/operations")
