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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.automations import NotifyTargetError, Patience, install
from flows.job import load_job
from flows.night import run_night
from sql import history
from tasks.notify import emit
from tasks.training.sub_flow import SubFlowFailed, run_deployed

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
        """The answer of the server's API; one that is busy says 503, and is asked again."""
        for _ in range(30):
            answer = httpx.post(f"{self.api}/{path}", json=body, timeout=30)
            if answer.status_code != 503:
                break
            time.sleep(1)
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
    assert names >= {"nightly", "train", "forecast", "score", "backtest", "backfill", "fit"}
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
            *(
                "job",
                "cutoff",
                "train",
                "horizon",
                "time_limit",
                "notify",
                "first",
                "last",
                "every",
                "workers",
                "cutoffs",
                "challengers",
            )
        }


def test_plain_functions_and_prefect_with_training_on_the_gpu_pool_give_the_same_rows(server, two_nights, tmp_path):
    other = shutil.copytree(two_nights.parent, tmp_path / "under_prefect") / two_nights.name
    settings = yaml.safe_load(other.read_text(encoding="utf-8")) | {"runner": {"train_on": "gpu", "shard_series": 2}}
    other.write_text(yaml.safe_dump(settings), encoding="utf-8")
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

    def step_runs() -> Any:
        found = server.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        return found if any(each["name"].startswith("close the run") for each in found) else None

    # Seven series in four shards: each step is one task run all the same.
    names = [each["name"] for each in server.wait(step_runs)]
    assert len(names) == len(set(names)) <= 24
    [handed_over] = server.ask("flow_runs/filter", {"flows": {"name": {"any_": ["fit"]}}})
    assert (handed_over["name"], handed_over["state"]["type"]) == ("small 2024-02-17 00:00 fit", "COMPLETED")
    assert (handed_over["work_pool_name"], handed_over["parent_task_run_id"] is None) == ("gpu", False)
    # References only, and no result is kept.
    assert [*handed_over["parameters"]] == ["folder"]
    assert not [*Path(server.environment["PREFECT_HOME"]).glob("storage/*")]


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
    page.get_by_text("0 is less than the minimum of 1").first.wait_for()
    page.screenshot(path=tmp_path / "refused.png")
    field("Horizon").get_by_role("spinbutton").fill("")
    page.get_by_role("button", name="Submit").click()
    # The note that leads to the run is gone after seconds, which a busy machine may take to show it.
    mine = {"deployments": {"id": {"any_": [nightly["id"]]}}}
    [flow_run_id, *_] = server.wait(
        lambda: [run["id"] for run in server.ask("flow_runs/filter", mine) if not run["auto_scheduled"]]
    )
    page.goto(f"{server.api.removesuffix('/api')}/runs/flow-run/{flow_run_id}")
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


def test_a_sub_flow_that_fails_or_is_missing_or_finds_no_worker_says_so(server):
    with temporary_settings({PREFECT_API_URL: server.api}):
        with pytest.raises(SubFlowFailed, match="no deployment fit/no"):
            run_deployed("fit/no", "none", {}, start_within=1, limit=1)
        with pytest.raises(SubFlowFailed, match=r"'lost' of fit/fit ended as Failed: .* does not see /nowhere"):
            run_deployed("fit/fit", "lost", {"folder": "/nowhere"}, start_within=120, limit=120)
        pool = f"{server.api}/work_pools/gpu"
        server.wait(lambda: httpx.patch(pool, json={"is_paused": True}, timeout=30).is_success)
        try:
            with pytest.raises(SubFlowFailed, match="no worker has begun the run 'waiting' within 1 s"):
                run_deployed("fit/fit", "waiting", {"folder": "/nowhere"}, start_within=1, limit=1)
        finally:
            server.wait(lambda: httpx.patch(pool, json={"is_paused": False}, timeout=30).is_success)
    wanted = {"flow_runs": {"name": {"any_": ["waiting"]}}}
    [waiting] = server.wait(lambda: server.ask("flow_runs/filter", wanted))
    assert waiting["state"]["type"] == "CANCELLED"


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
    ],
)
def test_wrong_parameters_are_refused_before_a_run_is_made(server, wrong):
    address = f"{server.api}/deployments/{server.deployment('nightly')['id']}/create_flow_run"
    answer = httpx.post(address, json={"parameters": {"job": "small"} | wrong})
    assert answer.status_code in (409, 422)


def waiting_run(server: Server, deployment: str) -> str:
    """A run of a deployment that no worker takes for a year."""
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": f"{datetime.now(UTC) + timedelta(days=365)}"}}
    made = server.ask(f"deployments/{deployment}/create_flow_run", {"parameters": {"job": "small"}, "state": later})
    return str(made["id"])


def into(server: Server, run: str, kind: str) -> str:
    """Asks for another state of a run; gives the name of the one that the server let it have."""
    # Only by force does a run begin before its time.
    state = {"type": kind}
    return str(server.ask(f"flow_runs/{run}/set_state", {"state": state, "force": kind == "RUNNING"})["state"]["name"])


def test_people_are_told_and_the_slot_of_a_killed_run_is_freed(server, webhook):
    url, received, _ = webhook
    soon = timedelta(seconds=10)
    install(server.api, url, Patience(silent=soon, success=soon))
    [nightly] = server.ask("deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})
    killed, next_one, late = (waiting_run(server, nightly["id"]) for _ in range(3))
    next_year = {"scheduled_time": f"{datetime.now(UTC) + timedelta(days=365)}"}
    server.ask(
        f"flow_runs/{late}/set_state", {"state": {"type": "SCHEDULED", "name": "Late", "state_details": next_year}}
    )
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
        "nightly: a run is late",
        "nightly: no night succeeded in time",
    }
    server.wait(lambda: subjects <= {message["title"] for message in received}, 60)
    texts = {message["title"]: message["text"] for message in received}
    assert texts["nightcast.loss.degraded: small"].endswith(words)
    assert "its process, or the machine, was probably killed" in texts[f"{killed_name(server, killed)}: Crashed"]
    assert f"/runs/flow-run/{late}" in texts["nightly: a run is late"]
    assert into(server, next_one, "PENDING") == "Pending"
    assert into(server, next_one, "COMPLETED") == "Completed"
    # The other tests' runs are not to be taken for dead.
    assert {each.change for each in install(server.api, None, Patience()) if "loss" not in each.name} >= {"updated"}


def killed_name(server: Server, run: str) -> str:
    return str(httpx.get(f"{server.api}/flow_runs/{run}", timeout=30).json()["name"])


def test_automations_are_installed_once_and_a_paused_one_stays_paused(server):
    before = server.ask("automations/filter", {})
    [late] = [each for each in before if each["name"] == "nightcast: a run is late"]
    address = f"{server.api}/automations/{late['id']}"
    server.wait(lambda: httpx.patch(address, json={"enabled": False}, timeout=30).is_success)
    done = install(server.api)
    assert {each.change for each in done} == {"unchanged"}
    assert [each.name for each in done if not each.enabled] == ["nightcast: a run is late"]
    done = install(server.api, None, Patience(success=timedelta(hours=30)))
    assert [each.name for each in done if each.change == "updated"] == ["nightcast: no night succeeded in time"]
    after = server.ask("automations/filter", {})
    assert {each["id"] for each in after} == {each["id"] for each in before}
    assert [each["name"] for each in after if not each["enabled"]] == ["nightcast: a run is late"]


def test_a_target_that_is_neither_address_nor_block_is_refused(server):
    with pytest.raises(NotifyTargetError, match=r"no notification block slack-webhook/operations\. Give an http"):
        install(server.api, "slack-webhook/operations")
