"""Run a local Prefect server with its pools, workers and deployments, and publish the reports, until interrupted."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import httpx

from flows.job.job import JobError
from flows.night.demo import JOB_FILE, make_example
from flows.server.paused import pause_again, paused
from flows.server.pools import POOLS
from flows.server.processes import children, descendants, end
from tasks.activity import activity, line_hidden
from tasks.store.places import REPORT_URL

EXAMPLE_FOLDER = "demo"
_START_SECONDS = 120
_PATIENCE_SECONDS = 20
log = logging.getLogger("nightcast")


class ServeError(Exception):
    """The local server or one of its parts did not start, or ended by itself."""


@dataclass(frozen=True)
class ReportsAddress:
    """Where the reports are published."""

    host: str
    port: int


def serve_until_interrupted(
    host: str, port: int, reports: ReportsAddress, folder: Path | None = None, notify: str | None = None
) -> None:
    """Start the server, the pools, the deployments of `folder`/prefect.yaml, a worker for each pool, and the reports.

    SIGINT or SIGTERM ends all of them, and the runs that are under way. A folder without a job gets the example job, so
    that there is something to run. The server keeps its database in $PREFECT_HOME, by default ~/.prefect, and continues
    with it at the next start.

    Args:
        host: Address to listen on.
        port: Port of the UI and the API.
        reports: Where to publish the reports.
        folder: The folder that has prefect.yaml; the current one if None.
        notify: Where to send messages when something is wrong, see `flows.server.automations.install`.

    Raises:
        JobError: the folder has no prefect.yaml.
        PortError: the reports cannot be published at that address.
        ServeError: the port is taken, or a part does not start.
    """
    # Importing what publishes reports takes half a second, which other verbs need not wait for.
    from flows.server.reports import address_of, listen_on

    api = f"http://{host}:{port}/api"
    # Prefect reads these variables before its own settings.
    environment = os.environ | {"PREFECT_API_URL": api, "DO_NOT_TRACK": "1"}
    # prefect.yaml makes runs work in $PWD, which only a shell sets correctly.
    environment["PWD"] = str((folder or Path()).resolve())
    # The server's usage statistics have a separate switch, which pyproject.toml sets for this folder only.
    environment.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # An automation reports late runs. The default of 15 s is too short for a worker that is busy.
    environment.setdefault("PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS", "600")
    if not ((folder or Path()) / "prefect.yaml").is_file():
        raise JobError(f"{(folder or Path()).resolve()} has no prefect.yaml. Run `serve` in the project's folder.")
    if _is_healthy(api):
        raise ServeError(f"A Prefect server already answers at {api}. Stop it, or choose another --port.")
    # A port that is taken must be known before anything starts.
    listen_on(reports.host, reports.port).close()
    published = address_of(reports.host, reports.port)
    environment[REPORT_URL] = published
    _make_example_if_there_is_no_job(folder or Path())
    running: list[subprocess.Popen[bytes]] = []
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server = ["flows.server.prefect_server", "server", "start", "--host", host, "--port", str(port)]
        running.append(_start(server, environment, folder))
        with activity("starting the Prefect server"):
            _wait_for(api, running[0])
        with activity("making the work pools"):
            _finish("flows.server.pools", [], environment, folder)
        before = paused(api)
        with activity("making the deployments of prefect.yaml"):
            _finish("prefect", ["--no-prompt", "deploy", "--all"], environment, folder)
        pause_again(api, before)
        arguments = ["--host", reports.host, "--port", str(reports.port)]
        running.append(_start(["flows.server.reports", *arguments], environment, folder))
        running += [_start(["prefect", "worker", "start", "--pool", pool.name], environment, folder) for pool in POOLS]
        with activity("starting the workers, installing the automations"):
            _install_automations(api, notify)
        log.info("The reports are at %s", published)
        log.info("Prefect is at http://%s:%d with the deployments of prefect.yaml. Ctrl-C stops it.", host, port)
        with line_hidden():
            _watch(running)
    except KeyboardInterrupt:
        log.info("Stopping.")
    finally:
        _stop(running, api)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _make_example_if_there_is_no_job(folder: Path) -> None:
    if os.environ.get("NIGHTCAST_JOBS") or (folder / "jobs").is_dir() or (folder / EXAMPLE_FOLDER / JOB_FILE).exists():
        return
    made = make_example(folder / EXAMPLE_FOLDER)
    log.info("There is no job yet, so the example %s was made, with its source beside it.", made.job_file)


def _install_automations(api: str, notify: str | None) -> None:
    # Importing Prefect takes 2 s, during which the workers start.
    from flows.server.automations import install

    if not any(each.tells for each in install(api, notify)):
        log.info("No messages are sent when a night goes wrong. Pass --notify URL, or set NIGHTCAST_NOTIFY.")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _start(arguments: Sequence[str], environment: dict[str, str], folder: Path | None) -> subprocess.Popen[bytes]:
    # In a session of its own, so that Ctrl-C reaches only this process, which then stops the others in order.
    return subprocess.Popen(_command(arguments), env=environment, cwd=folder, stdout=sys.stderr, start_new_session=True)


def _finish(module: str, arguments: Sequence[str], environment: dict[str, str], folder: Path | None) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise ServeError(f"{module} {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")


def _is_healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _wait_for(api: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(api):
        if server.poll() is not None or time.monotonic() > deadline:
            raise ServeError(f"The Prefect server did not answer at {api}. If the port is taken, use another --port.")
        time.sleep(0.5)


def _watch(running: Sequence[subprocess.Popen[bytes]]) -> None:
    while all(process.poll() is None for process in running):
        time.sleep(0.5)
    raise ServeError(
        "The Prefect server, a worker or the server of the reports ended by itself; its last lines are above."
    )


def _stop(running: Sequence[subprocess.Popen[bytes]], api: str) -> None:
    # A second Ctrl-C must not interrupt this: processes would be left running.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    _end_runs([worker.pid for worker in running[1:]], api)
    for process in reversed(running):
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _end_runs(workers: Sequence[int], api: str) -> None:
    # End the runs before the workers: a worker that is stopped kills its runs, and the server would show them as
    # running for ever. A run that is asked to end records that it was interrupted; its worker reports the others.
    if not (started := descendants(workers)):
        return
    # Repeat until none is left: a worker may start the next run meanwhile.
    while runs := children(workers):
        end(runs, _PATIENCE_SECONDS)
        started |= descendants(workers)
    # Processes that a killed run left behind.
    end(started, 0)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _are_under_way(api) and time.monotonic() < deadline:
        time.sleep(0.2)


def _are_under_way(api: str) -> bool:
    """Whether the server shows runs as under way; False if it does not answer."""
    under_way = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
    try:
        answer = httpx.post(f"{api}/flow_runs/count", json={"flow_runs": under_way}, timeout=5).raise_for_status()
    except httpx.HTTPError:
        return False
    return bool(answer.json())
