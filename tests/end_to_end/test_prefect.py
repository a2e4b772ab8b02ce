"""The night under Prefect: `nightcast serve` on a free port, one server for this file."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.server.automations import NotifyTargetError, Patience, install
from flows.server.set_schedule import listed_schedules, put_off, put_on
from sql.output import history
from tasks.monitoring.notify import emit
from tasks.night.ledger import Ledger
from tasks.store.version_store import StoredVersion
from tasks.training.sub_flow import SubFlowFailed, run_deployed

ROOT = Path(__file__).parents[2]


class Server:
    """A running `nightcast serve`."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.reports = f"http://127.0.0.1:{self.port + 1}"
        self.environment = os.environ | {"PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(ROOT)}
        for name in ("store-sales.yaml", "schedules.yaml"):
            shutil.copy(ROOT / "flows" / "night" / name, folder / "jobs")
        # A module and a folder of the user's own, whose names the product uses too.
        (folder / "tasks.py").write_text("raise SystemExit('not this one')", encoding="utf-8")
        (folder / "sql").mkdir()
        with (folder / "jobs" / "schedules.yaml").open("a", encoding="utf-8") as schedules:
            schedules.write('gone: {cron: "0 2 * * *", time_zone: UTC}\n')
        self.log = folder / "serve.log"

    def start(self) -> None:
        """Start it, and wait until everything is there."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                # As the command does, this finds no module of the current folder.
                [sys.executable, "-P", "-m", "flows.start", "serve", "--port", str(self.port)],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.wait(lambda: "Ctrl-C stops it" in self.log.read_text(encoding="utf-8"), seconds=300)

    def processes(self) -> set[str]:
        """Command lines of the processes that were started for it, by it or by those."""
        mine, found = f"PREFECT_HOME={self.environment['PREFECT_HOME']}".encode(), set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mine in (folder / "environ").read_bytes().split(b"\0"):
                    found.add((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def known(self) -> dict[str, Any]:
        """What it has of everything that is kept from one start to the next."""
        deployments = self.ask("deployments/filter", {})
        return {
            "deployments": {each["name"]: (each["id"], each["version"], each["paused"]) for each in deployments},
            "schedules": {
                schedule["slug"]: (schedule["active"], schedule["schedule"]["cron"])
                for each in deployments
                for schedule in each["schedules"]
            },
            "automations": {each["name"]: (each["id"], each["enabled"]) for each in self.ask("automations/filter", {})},
            "pools": {each["name"]: (each["id"], each["is_paused"]) for each in self.ask("work_pools/filter", {})},
        }

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
        running.start()
        yield running
    finally:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(timeout=60)


def published(job: Path, cutoff: datetime) -> pd.DataFrame:
    rows = history.forecast_of(load_job(job).places.engine(), "small", cutoff).to_pandas()
    return rows.drop(columns=["run_id", "created_at", "model_version"]).sort_values(["series_id", "step"])


def test_the_reports_are_published_beside_the_ui_and_open_without_an_error(server, browser_page):
    told, page = [], browser_page
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(server.reports)
    page.get_by_role("link", name="small", exact=True).click()
    page.get_by_role("table").first.get_by_role("link", name="2024-02-10").click()
    page.get_by_role("link", name="All nights").click()
    page.get_by_role("link", name="All jobs").click()
    assert page.url == f"{server.reports}/index.html"
    assert told == []


def test_a_second_server_of_the_reports_says_that_the_port_is_taken(server, tmp_path):
    (tmp_path / "jobs").mkdir()
    shutil.copy(ROOT / "flows" / "night" / "store-sales.yaml", tmp_path / "jobs")
    arguments = ["serve", "--port", "1", "--reports-port", str(server.port + 1)]
    done = subprocess.run(
        [sys.executable, "-m", "flows.start", *arguments],
        cwd=tmp_path,
        env=server.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f":{server.port + 1}: another program listens there. Choose another --reports-port." in done.stderr
    assert [file.name for file in tmp_path.rglob("*")] == ["jobs", "store-sales.yaml"]


def test_a_deployment_with_a_cron_gets_scheduled_runs(server):
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    runs = server.wait(lambda: server.ask("flow_runs/filter", scheduled))
    [nightly] = server.ask("deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})
    assert {run["deployment_id"] for run in runs} == {nightly["id"]}
    local = pd.DatetimeIndex([run["expected_start_time"] for run in runs]).tz_convert("Europe/Madrid")
    assert set(local.hour) == {3}
    assert {run["parameters"]["job"] for run in runs} == {"store-sales"}


def test_serve_says_what_it_waits_for_and_which_scheduled_job_is_gone(server):
    told = [line.partition(" ")[2] for line in server.log.read_text(encoding="utf-8").splitlines()]
    stages = [line for line in told if re.match("(Reading the jobs|Starting|Making)(?!.* so far$)", line)]
    assert stages == [
        f"Reading the jobs of {server.folder}/jobs",
        "Starting the Prefect server",
        "Making the work pools",
        "Making the deployments",
        "Starting the workers",
    ]
    assert "store-sales runs at 0 3 * * * (Europe/Madrid)." in told
    [gone] = [line for line in told if "a schedule of gone" in line]
    assert gone.endswith("the schedule is left out. `nightcast schedule gone --off` removes it.")


def test_a_schedule_is_applied_at_once_stays_paused_and_follows_the_file(server, jobs, monkeypatch):
    def known() -> Any:
        found = {each["slug"]: each for each in server.deployment("nightly")["schedules"]}.get("small")
        return found and (
            found["schedule"]["cron"],
            found["schedule"]["timezone"],
            found["active"],
            found["parameters"],
        )

    monkeypatch.setenv("NIGHTCAST_JOBS", str(jobs))
    monkeypatch.setenv("PREFECT_API_URL", server.api)
    assert put_on("small", "30 4 * * mon-fri", "Asia/Tokyo").is_applied
    assert known() == ("30 4 * * mon-fri", "Asia/Tokyo", True, {"job": "small"})
    nightly = server.deployment("nightly")
    [schedule] = [each for each in nightly["schedules"] if each["slug"] == "small"]
    address = f"{server.api}/deployments/{nightly['id']}/schedules/{schedule['id']}"
    server.wait(lambda: httpx.patch(address, json={"active": False}, timeout=30).is_success)
    # Prefect empties the parameters with the pause; without them the next night would fail.
    server.wait(lambda: known() == ("30 4 * * mon-fri", "Asia/Tokyo", False, {"job": "small"}))
    done = put_on("small", "0 5 * * *", None)
    assert "It is paused there, and stays so" in done.server
    assert known() == ("0 5 * * *", "UTC", False, {"job": "small"})
    states = {each.job: each.state for each in listed_schedules(None)}
    assert states == {"store-sales": "on", "small": "paused", "gone": "job is gone"}
    # A change of the file alone, as of somebody who has no server in sight.
    monkeypatch.delenv("PREFECT_API_URL")
    assert not put_off("small").is_applied
    server.wait(lambda: known() is None)
    # And a new job is in the forms.
    (jobs / "late.yaml").symlink_to("small.yaml")
    server.wait(lambda: "late" in server.deployment("nightly")["parameter_openapi_schema"]["properties"]["job"]["enum"])
    (jobs / "late.yaml").unlink()
    server.wait(lambda: not [each for each in server.ask("deployments/filter", {}) if "late" in str(each)])


def test_the_pools_and_deployments_of_the_project_are_there(server):
    names = {row["name"] for row in server.ask("deployments/filter", {})}
    assert names >= {"nightly", "train", "forecast", "score", "backtest", "backfill", "fit"}
    assert names >= {"acknowledge", "accept", "promote", "rollback"}
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
        [sys.executable, "-m", "flows.start", *arguments],
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
    pd.testing.assert_frame_equal(losses[0], losses[1], rtol=1e-5)
    scores = [pd.DataFrame(history.scores(engine, "small")) for engine in engines]
    pd.testing.assert_frame_equal(scores[0], scores[1], rtol=1e-5)
    [run] = server.ask("flow_runs/filter", {"flow_runs": {"id": {"any_": [flow["run_id"]]}}})
    assert run["name"] == "small 2024-02-17"
    assert (run["state"]["type"], run["state"]["message"]) == ("COMPLETED", "1 of 7 series by fallback")

    def step_runs() -> Any:
        found = server.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        return found if any(each["name"].startswith("close the run") for each in found) else None

    # Seven series in four shards: each step is one task run all the same.
    names = [each["name"] for each in server.wait(step_runs)]
    assert len(names) == len(set(names)) <= 26
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
    page.keyboard.press("Tab")
    submit, clicked = page.get_by_role("button", name="Submit"), -math.inf
    # The note that leads to the run is gone after seconds, which a busy machine may take to show it.
    mine = {"deployments": {"id": {"any_": [nightly["id"]]}}}

    def submitted() -> list[str]:
        nonlocal clicked
        found = [run["id"] for run in server.ask("flow_runs/filter", mine) if not run["auto_scheduled"]]
        # The form ignores a click while it still checks the field that was left.
        if not found and time.monotonic() - clicked > 30 and submit.is_visible():
            submit.click()
            clicked = time.monotonic()
        return found

    [flow_run_id, *_] = server.wait(submitted)
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
    names = ("reading", "input", "forecasting", "night", "report", "errors", "fallbacks")
    assert set(artifacts) == {f"small-{name}" for name in names}
    assert "steps without a row" in {row["finding"] for row in json.loads(artifacts["small-input"]["data"])}
    assert artifacts["small-forecasting"]["data"] == 100
    assert artifacts["small-forecasting"]["description"] == "7 of 7 series"
    assert "7 steps of 7 series, 1 of them by fallback" in artifacts["small-night"]["data"]
    # The page of the night is published, and the run leads to it.
    page = f"{server.reports}/small/2024-02-11T000000Z.html"
    assert page in artifacts["small-report"]["data"]
    assert page in artifacts["small-night"]["data"]
    assert "<html" in httpx.get(page, timeout=30).text
    run = httpx.get(f"{server.api}/flow_runs/{made['id']}", timeout=30).json()
    assert {"nightcast", "small"} <= set(run["tags"])
    wanted = {"filter": {"event": {"name": ["nightcast.run.fallback"]}}}
    [event, *_] = server.wait(lambda: server.ask("events/filter", wanted)["events"])
    assert event["resource"]["prefect.resource.id"] == "nightcast.job.small"
    assert (event["payload"]["fallback_series"], event["payload"]["series"]) == (1, 7)
    assert (event["payload"]["segment"], event["payload"]["effect"]) == ("all", 1 / 7)
    assert event["payload"]["onset"] == "2024-02-11T00:00:00+00:00"


def test_a_run_that_fails_leaves_no_part_of_a_secret_in_the_servers_database(server, two_nights, tmp_path):
    secret = "hunter2/Kx9-zz77"
    document = yaml.safe_load(two_nights.read_text(encoding="utf-8"))
    document["source"]["url"] = "${SOURCE_URL}"
    two_nights.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "flows.start", "run", str(two_nights)],
        env=server.environment
        | {
            "PREFECT_API_URL": server.api,
            "SOURCE_URL": f"sqlite:///{tmp_path}/{secret}.db",
            "NIGHTCAST_TRACEBACK": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "There is no SQLite file ${SOURCE_URL}" in done.stderr
    wanted = {"flow_runs": {"state": {"name": {"any_": ["Failed"]}}}}
    server.wait(lambda: [run for run in server.ask("flow_runs/filter", wanted) if "SQLite" in run["state"]["message"]])
    kept = [done.stdout, done.stderr]
    kept += [file.read_bytes().decode("latin-1") for file in (server.folder / "prefect").glob("prefect.db*")]
    assert "There is no SQLite file ${SOURCE_URL}" in "".join(kept[2:])
    assert not [part for part in ("hunter2", "Kx9-zz") if part in "".join(kept)]


def test_a_sub_flow_that_fails_or_is_missing_or_finds_no_worker_says_so(server):
    with temporary_settings({PREFECT_API_URL: server.api}):
        with pytest.raises(SubFlowFailed, match="no deployment fit/no"):
            run_deployed("fit/no", "none", {}, start_within=1, limit=1)
        with pytest.raises(SubFlowFailed, match=r"'lost' of fit/fit ended as Failed: .* cannot see /nowhere"):
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


def sent_past_the_form(server: Server, deployment: str, parameters: dict[str, Any]) -> str:
    """A run with parameters that the server has not checked."""
    address = f"deployments/{server.deployment(deployment)['id']}/create_flow_run"
    made = server.ask(address, {"parameters": parameters, "enforce_parameter_schema": False})
    return str(made["id"])


def test_what_no_form_would_send_fails_before_anything_is_read_and_says_what_to_do(server, jobs):
    engine = load_job(jobs / "small.yaml").places.engine()
    before = {row["run_id"] for row in history.runs(engine, "small")}
    older = sent_past_the_form(server, "nightly", {"job": "small", "colour": "red"})
    vanished = sent_past_the_form(server, "score", {"job": "gone"})
    wrong = sent_past_the_form(server, "forecast", {"job": "small", "cutoff": "soon"})
    states = {run: server.wait(lambda run=run: server.ended(run), seconds=300) for run in (vanished, wrong)}
    assert {state["type"] for state in states.values()} == {"FAILED"}
    assert "No job 'gone': no such file, and the jobs folder" in states[vanished]["message"]
    assert "'soon' is not a timestamp; write 2024-03-01" in states[wrong]["message"]
    # This one crashes first: Prefect looks at the names of parameters before there is a run that could fail.
    state = server.wait(lambda: (state := server.ended(older)) and state["type"] == "FAILED" and state)
    assert "it knows no 'colour'" in state["message"]
    assert "start `nightcast serve` again, or deploy again on a server of your own" in state["message"]
    assert {row["run_id"] for row in history.runs(engine, "small")} == before


def test_a_backtest_shows_its_errors_as_an_artifact_of_its_run(server):
    parameters = {"job": "small", "cutoffs": 2}
    made = server.ask(f"deployments/{server.deployment('backtest')['id']}/create_flow_run", {"parameters": parameters})
    state = server.wait(lambda: server.ended(made["id"]), seconds=400)
    assert state["type"] == "COMPLETED", state["message"]
    # The 140 days of the source end on 17 February, a week after the newest cutoff.
    assert re.fullmatch(
        r"Scaled error \(MASE\) [\d.]+, seasonal naive's [\d.]+; 2024-02-03 to 2024-02-10, 2 cutoffs", state["message"]
    )
    shown = server.ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [made["id"]]}}})
    artifacts = {artifact["key"]: artifact for artifact in shown}
    rows = {row["metric"]: row for row in json.loads(artifacts["backtest-small"]["data"])}
    for name in ("model", "seasonal naive"):
        # Three digits are enough for people, and so is the metric's label.
        assert re.fullmatch(r"\d(\.\d\d?)?|\d\d(\.\d)?|\d{3}|0\.\d+", rows["Mean absolute error (MAE)"][name])
    assert "backtest-small-plots" in artifacts
    assert {"nightcast", "small"} <= set(httpx.get(f"{server.api}/flow_runs/{made['id']}", timeout=30).json()["tags"])


def with_alerts(jobs: Path) -> Ledger:
    """The ledger of `small` with open alerts of two segments."""
    ledger = Ledger(load_job(jobs / "small.yaml").places)
    opened = datetime(2024, 2, 10, tzinfo=UTC)
    key = {"job": "small", "signal": "loss", "opened_at": opened, "onset": opened, "effect": 0.2, "state": "open"}
    empty = dict.fromkeys(("acknowledged_by", "acknowledged_at", "closed_at", "accepted_at"))
    segments = ("all", "region=north")
    ledger.upsert_alerts([{**key, **empty, "segment": each, "message": f"small, {each}: worse"} for each in segments])
    return ledger


def started(server: Server, deployment: str, **parameters: str) -> str:
    """A run of a deployment."""
    made = server.ask(f"deployments/{server.deployment(deployment)['id']}/create_flow_run", {"parameters": parameters})
    return str(made["id"])


def is_paused(server: Server, run: str) -> bool:
    """Whether a run waits for a choice."""
    return httpx.get(f"{server.api}/flow_runs/{run}", timeout=30).json()["state"]["type"] == "PAUSED"


def test_an_alert_is_picked_and_acknowledged_in_a_browser(server, jobs, browser_page, tmp_path):
    ledger, page = with_alerts(jobs), browser_page
    run = started(server, "acknowledge", job="small", person="Ana")
    server.wait(lambda: is_paused(server, run))
    page.goto(f"{server.api.removesuffix('/api')}/runs/flow-run/{run}")
    page.get_by_role("button", name="Resume").first.click()
    page.get_by_text("small, region=north: worse").first.wait_for()
    page.screenshot(path=tmp_path / "pick.png")
    page.locator(".schema-form-property__fields").get_by_role("button").focus()
    page.keyboard.press("ArrowDown")
    page.locator(".p-select-option").get_by_text("region=north", exact=True).click()
    page.screenshot(path=tmp_path / "picked.png")
    page.get_by_role("dialog").get_by_role("button", name="Submit").click()
    state = server.wait(lambda: server.ended(run))
    assert (state["type"], state["message"]) == (
        "COMPLETED",
        "1 alert acknowledged by Ana: small, region=north: worse",
    )
    ledger.forget()
    losses = [row for row in ledger.open_alerts() if row["signal"] == "loss"]
    assert {row["segment"]: row["acknowledged_by"] for row in losses} == {
        "all": None,
        "region=north": "Ana",
    }
    home = (jobs / "reports/small/index.html").read_text(encoding="utf-8")
    assert "acknowledged</span> by Ana" in home


def test_alerts_are_accepted_and_versions_promoted_and_rolled_back_from_the_ui(server, jobs):
    ledger = with_alerts(jobs)
    accepted = started(server, "accept", job="small", person="Ana", segment="all")
    assert server.wait(lambda: server.ended(accepted))["message"].startswith("2 alerts accepted as normal by Ana")
    ledger.forget()
    # The night of the form found the source stale; an alert of the input ends when values come, and nobody accepts it.
    assert {row["signal"] for row in ledger.open_alerts()} <= {"input"}
    nothing = started(server, "accept", job="small", person="Ana")
    assert "small has no open alert that can be accepted." in server.wait(lambda: server.ended(nothing))["message"]
    champion = ledger.champion()
    stored = StoredVersion("20240101T000000Z-00000000", champion["uri"], champion["digest"])
    ledger.add_model(stored, datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), {})
    run = started(server, "promote", job="small")
    server.wait(lambda: is_paused(server, run))
    refused = httpx.post(f"{server.api}/flow_runs/{run}/resume", json={"run_input": {"choice": champion["version"]}})
    assert refused.json()["status"] != "ACCEPT"
    server.ask(f"flow_runs/{run}/resume", {"run_input": {"choice": stored.version}})
    assert server.wait(lambda: server.ended(run))["message"] == f"{stored.version} is now the champion"
    ledger.forget()
    assert ledger.champion()["version"] == stored.version
    back = started(server, "rollback", job="small")
    assert server.wait(lambda: server.ended(back))["message"] == f"{champion['version']} is the champion again"
    ledger.forget()
    assert ledger.champion()["version"] == champion["version"]


CATCHING_UP = """
import sys
from datetime import UTC, datetime
import flows.night.stages as stages
from flows.deployments.dispatch import run_night
from tasks.run import lock as lock_module

real = stages.predict

def without_lock(places, *others):
    # As a database that was restarted: it has lost the lock.
    for lock in lock_module._held().values():
        lock.release()
    return real(places, *others)

stages.predict = without_lock
# Reports take most of so small a night.
stages.write_report = lambda night, *_: night.places.report
print(run_night(sys.argv[1], now=datetime(2024, 2, 14, 4, tzinfo=UTC)).note)
"""


def test_missed_nights_are_sub_flows_of_tonight_and_each_keeps_the_lock(server, make_job, monkeypatch):
    monkeypatch.setattr("flows.night.stages.write_report", lambda night, *_: night.places.report)
    job = make_job(forecast={"min_history": 10_000}, schedule={"catch_up": "all"})
    for day in (8, 9, 10):
        run_night(job, cutoff=f"2024-02-{day:02d}")
    environment = server.environment | {"PREFECT_API_URL": server.api}
    command = [sys.executable, "-c", CATCHING_UP, str(job)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == (
        "2 nights were missed before, from 2024-02-11T00:00 to 2024-02-12T00:00: run first"
    )
    assert done.stderr.count("The database had lost the lock of small: it is taken again.") == 3
    rows = {row["cutoff"].day: row for row in history.runs(load_job(job).places.engine(), "small")}
    assert {day: row["state"] for day, row in rows.items()} == dict.fromkeys([8, 9, 10, 11, 12, 13], "completed")
    wanted = {"flow_runs": {"id": {"any_": [rows[day]["run_id"] for day in (11, 12, 13)]}}}
    runs = {run["name"]: run for run in server.ask("flow_runs/filter", wanted)}
    assert {run["state"]["type"] for run in runs.values()} == {"COMPLETED"}
    assert {name: run["parent_task_run_id"] is not None for name, run in runs.items()} == {
        "small 2024-02-11": True,
        "small 2024-02-12": True,
        "small 2024-02-13": False,
    }


class Wire:
    """Stands between a night and the server until it is cut."""

    def __init__(self, port: int) -> None:
        self.far_port, self.ends = port, [socket.create_server(("127.0.0.1", 0))]
        self.port = self.ends[0].getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and take no other."""
        for end in self.ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.ends[0].accept()
                far = socket.create_connection(("127.0.0.1", self.far_port))
                self.ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError):
            while received := here.recv(65_536):
                there.sendall(received)
            there.shutdown(socket.SHUT_WR)


WAITING_IN_THE_MIDDLE = """
import sys, time
from pathlib import Path
import flows.night.stages as stages
from flows.cli import main

marker, real = Path(sys.argv.pop()), stages.predict

def predict(*arguments):
    marker.touch()
    while marker.exists():
        time.sleep(0.1)
    return real(*arguments)

stages.predict = predict
main()
"""


def test_a_night_comes_to_its_end_though_the_server_goes_away_in_the_middle(server, make_job, tmp_path):
    job, marker, wire = make_job(forecast={"min_history": 10_000}), tmp_path / "in the middle", Wire(server.port)
    # Prefect asks a server that it has lost again, for a minute each time.
    lost_at_once = {"PREFECT_API_URL": f"http://127.0.0.1:{wire.port}/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    arguments = ["run", str(job), "--cutoff", "2024-02-10", "--json", str(marker)]
    with (
        (tmp_path / "night.log").open("w+", encoding="utf-8") as told,
        subprocess.Popen(
            [sys.executable, "-c", WAITING_IN_THE_MIDDLE, *arguments],
            env=server.environment | lost_at_once,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        ) as process,
    ):
        server.wait(lambda: marker.exists() or process.poll() is not None)
        wire.cut()
        marker.unlink()
        said = process.stdout.readline()
        # By itself Prefect would go on asking whether the server takes the last events, for a minute at least.
        try:
            process.wait(timeout=30)
        finally:
            process.kill()
        told.seek(0)
        log = told.read()
    assert process.returncode == 0, log
    night = json.loads(said)
    assert (night["state"], night["rows"]) == ("completed", 49)
    assert "The Prefect server does not know how the night ended" in log
    assert log.count("The run's page in Prefect stays incomplete, and the night goes on") == 1
    engine = load_job(job).places.engine()
    assert [(row["run_id"], row["state"]) for row in history.runs(engine, "small")] == [(night["run_id"], "completed")]
    assert len(published(job, datetime(2024, 2, 10, tzinfo=UTC))) == 49
    assert run_night(job, cutoff="2024-02-10").state == "unchanged"


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
    assert "Its process or the machine was probably killed" in texts[f"{killed_name(server, killed)}: Crashed"]
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


def test_ctrl_c_ends_the_runs_too_and_a_second_start_finds_everything_as_it_was(server, jobs):
    nightly = server.deployment("nightly")
    [schedule] = nightly["schedules"]
    address = f"{server.api}/deployments/{nightly['id']}/schedules/{schedule['id']}"
    server.wait(lambda: httpx.patch(address, json={"active": False}, timeout=30).is_success)
    score = f"{server.api}/deployments/{server.deployment('score')['id']}"
    server.wait(lambda: httpx.patch(score, json={"paused": True}, timeout=30).is_success)
    before = server.known()
    asked = {"parameters": {"job": "small", "cutoff": "2024-02-17"}}
    made = server.ask(f"deployments/{server.deployment('train')['id']}/create_flow_run", asked)

    def training() -> bool:
        return any("tasks.training" in command for command in server.processes())

    server.wait(training)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(timeout=120) == 0
    assert server.processes() == set()
    rows = {row["run_id"]: row for row in history.runs(load_job(jobs / "small.yaml").places.engine(), "small")}
    interrupted = rows[made["id"]]
    assert [interrupted[each] for each in ("kind", "state", "error")] == ["train", "interrupted", "ended by SIGTERM"]
    server.start()
    assert server.known() == before
    state = server.ended(made["id"])
    assert (state["type"], state["message"]) == ("CRASHED", "Execution was aborted by a termination signal.")
