"""The night under Prefect: `nightcast serve` on a free port, one server for this file."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from flows.job import load_job
from flows.night import run_night
from sql import history

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
        shutil.copy(ROOT / "examples" / "store-sales.yaml", folder / "jobs")
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

    def deployment(self, name: str) -> Any:
        """What the server knows of a deployment."""
        [found] = self.ask("deployments/filter", {"deployments": {"name": {"any_": [name]}}})
        return found

    def ended(self, flow_run_id: str) -> Any:
        """The state in which a run has ended; None while it has not."""
        state = httpx.get(f"{self.api}/flow_runs/{flow_run_id}", timeout=30).json()["state"]
        return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None


@pytest.fixture(scope="module")
def jobs(ran_twice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jobs folder with `small`, which ran two nights, and the example, which ran none."""
    return shutil.copytree(ran_twice.parent, tmp_path_factory.mktemp("server") / "jobs")


@pytest.fixture(scope="module")
def server(jobs: Path) -> Iterator[Server]:
    """Server, pools, deployments and workers; the deployments are there."""
    running = Server(jobs.parent)
    try:
        running.wait(lambda: "Ctrl-C stops it" in running.log.read_text(encoding="utf-8"), seconds=300)
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
    assert names >= {"nightly", "train", "forecast", "score", "backtest", "backfill"}
    limits = {row["name"]: row["concurrency_limit"] for row in server.ask("work_pools/filter", {})}
    assert (limits["cpu"], limits["gpu"]) == (None, 1)
    for pool in ("cpu", "gpu"):
        queues = server.ask(f"work_pools/{pool}/queues/filter", {})
        assert [queue["name"] for queue in sorted(queues, key=lambda queue: queue["priority"])] == [
            "nights",
            "people",
            "long",
            "default",
        ]


def test_a_deployment_says_in_the_ui_what_it_does_and_in_which_version(server):
    released = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name in ("nightly", "train", "forecast", "score", "backtest", "backfill"):
        found = server.deployment(name)
        assert (found["version"], found["global_concurrency_limit"]["limit"]) == (released, 1)
        assert found["description"].startswith("**")
        assert "nightcast" in found["tags"]
        # No field for a path, SQL, a secret, or what counts as now.
        fields = found["parameter_openapi_schema"]["properties"]
        assert fields["job"]["enum"] == ["small", "store-sales"]
        assert fields.keys() <= {
            *("job", "cutoff", "train", "horizon", "time_limit", "notify", "first", "last", "cutoffs", "challengers")
        }


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


def test_a_night_is_run_from_its_form_in_a_browser(server, jobs, browser_page, tmp_path):
    page, nightly = browser_page, server.deployment("nightly")
    page.goto(f"{server.api.removesuffix('/api')}/deployments/deployment/{nightly['id']}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").click()

    def field(title: str) -> Any:
        label = page.locator(".schema-form-property__label", has_text=re.compile(rf"^{title}( |$)"))
        return page.locator(".schema-form-property").filter(has=label).locator(".schema-form-property__fields")

    def choose(title: str, value: str) -> None:
        field(title).get_by_role("button").focus()
        page.keyboard.press("ArrowDown")
        page.locator(".p-select-option").get_by_text(value, exact=True).click()

    choose("Job", "small")
    choose("Training", "never")
    field("Horizon").get_by_role("spinbutton").fill("0")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("0 is less than the minimum of 1").wait_for()
    page.screenshot(path=tmp_path / "refused.png")
    field("Horizon").get_by_role("spinbutton").fill("")
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("button", name="View run").first.click()
    page.wait_for_url(re.compile("flow-run/"))
    flow_run_id = re.search(r"flow-run/([0-9a-f-]+)", page.url)[1]
    assert server.wait(lambda: server.ended(flow_run_id))["type"] == "COMPLETED"
    page.get_by_text("Completed", exact=True).first.wait_for()
    page.screenshot(path=tmp_path / "completed.png")
    # 17 February is the newest day of the source: six series by the champion, and the short one by the fallback.
    rows = published(jobs / "small.yaml", datetime(2024, 2, 17, tzinfo=UTC))
    assert rows.groupby("source").size().to_dict() == {"model": 42, "fallback": 7}


def test_a_run_from_the_ui_is_done_by_the_worker_with_steps_that_people_understand(server, jobs):
    parameters = {"job": "small", "cutoff": "2024-02-11"}
    identity = server.deployment("forecast")["id"]
    made = server.ask(f"deployments/{identity}/create_flow_run", {"parameters": parameters})
    assert server.wait(lambda: server.ended(made["id"]))["type"] == "COMPLETED"
    assert len(published(jobs / "small.yaml", datetime(2024, 2, 11, tzinfo=UTC))) == 49

    def tasks() -> Any:
        found = server.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [made["id"]]}}})
        names = {task["name"] for task in found}
        return names if {"read history", "audit the input", "publish small", "write report"} <= names else None

    server.wait(tasks)
    [artifact] = server.ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [made["id"]]}}})
    assert artifact["key"] == "input-audit"
    assert "steps without a row" in {row["found"] for row in json.loads(artifact["data"])}
    wanted = {"filter": {"event": {"name": ["nightcast.run.fallback"]}}}
    [event, *_] = server.wait(lambda: server.ask("events/filter", wanted)["events"])
    assert event["resource"]["prefect.resource.id"] == "nightcast.job.small"
    assert (event["payload"]["fallback_series"], event["payload"]["series"]) == (1, 7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": 7},
        {"job": "jobs/small.yaml"},
        {"train": "now"},
        {"cutoff": "soon"},
        {"horizon": 0},
        {"horizon": 10_001},
        {"time_limit": 90_000},
        {"now": "2024-02-11"},
    ],
)
def test_wrong_parameters_are_refused_before_a_run_is_made(server, wrong):
    address = f"{server.api}/deployments/{server.deployment('nightly')['id']}/create_flow_run"
    answer = httpx.post(address, json={"parameters": {"job": "small"} | wrong})
    assert answer.status_code in (409, 422)
