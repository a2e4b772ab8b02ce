"""A local Prefect server with its pools, workers and deployments, for as long as nobody interrupts."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import httpx

from flows.job.job import JobError
from flows.night.demo import JOB_FILE, make_example
from flows.server.paused import pause_again, paused
from flows.server.pools import POOLS
from flows.server.processes import children, descendants, end

EXAMPLE_FOLDER = "demo"
_START_SECONDS = 120
_PATIENCE_SECONDS = 20
log = logging.getLogger("nightcast")


class ServeError(Exception):
    """The local server did not come up."""


def serve_until_interrupted(host: str, port: int, folder: Path | None = None, notify: str | None = None) -> None:
    """Start server, pools, deployments of `folder`/prefect.yaml and a worker per pool; SIGINT or SIGTERM ends them
    and what they run.

    A folder without a job gets the example's, so that there is something to run. What the server knows is kept in
    $PREFECT_HOME, by default ~/.prefect: another start goes on from there.

    Args:
        host: Address to listen on.
        port: Of the UI and the API.
        folder: Where prefect.yaml lies; here where None.
        notify: Who is told when something is wrong, see `flows.server.automations.install`.

    Raises:
        ServeError: the port is taken, or a part does not start.
    """
    api = f"http://{host}:{port}/api"
    # Prefect reads this one before its own settings.
    environment = os.environ | {"PREFECT_API_URL": api, "DO_NOT_TRACK": "1"}
    # prefect.yaml lets runs work in $PWD, which only a shell keeps true.
    environment["PWD"] = str((folder or Path()).resolve())
    # The server has a switch of its own, which pyproject.toml sets for this folder only.
    environment.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # People are told of late runs, and 15 s, the server's own patience, is no time for a worker that is busy.
    environment.setdefault("PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS", "600")
    if not ((folder or Path()) / "prefect.yaml").is_file():
        raise JobError(f"{(folder or Path()).resolve()} has no prefect.yaml. Go to the folder that has the project's.")
    if _is_healthy(api):
        raise ServeError(f"A Prefect server already answers at {api}. Stop it, or take another --port.")
    _make_example_where_no_job_is(folder or Path())
    running: list[subprocess.Popen[bytes]] = []
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        running.append(_start(["server", "start", "--host", host, "--port", str(port)], environment, folder))
        _wait_for(api, running[0])
        _finish("flows.server.pools", [], environment, folder)
        before = paused(api)
        _finish("prefect", ["--no-prompt", "deploy", "--all"], environment, folder)
        pause_again(api, before)
        running += [_start(["worker", "start", "--pool", pool.name], environment, folder) for pool in POOLS]
        _install_automations(api, notify)
        log.info("Prefect is at http://%s:%d with the deployments of prefect.yaml. Ctrl-C stops it.", host, port)
        _watch(running)
    except KeyboardInterrupt:
        log.info("Stopping.")
    finally:
        _stop(running, api)
        for number, handler in previous.items():
            signal.signal(number, handler)


def _make_example_where_no_job_is(folder: Path) -> None:
    if os.environ.get("NIGHTCAST_JOBS") or (folder / "jobs").is_dir() or (folder / EXAMPLE_FOLDER / JOB_FILE).exists():
        return
    made = make_example(folder / EXAMPLE_FOLDER)
    log.info("There was no job yet: made the example %s, with its source beside it.", made.job_file)


def _install_automations(api: str, notify: str | None) -> None:
    # Prefect takes 2 s to import: by now the workers are starting beside it.
    from flows.server.automations import install

    if not any(each.tells for each in install(api, notify)):
        log.info("Nobody is told when a night goes wrong: give --notify URL, or set NIGHTCAST_NOTIFY.")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "prefect", *arguments]


def _start(arguments: Sequence[str], environment: dict[str, str], folder: Path | None) -> subprocess.Popen[bytes]:
    # A group of its own, so that Ctrl-C reaches this process alone and children are stopped in order.
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
            raise ServeError(f"The Prefect server did not answer at {api}. Is the port free? Take another with --port.")
        time.sleep(0.5)


def _watch(running: Sequence[subprocess.Popen[bytes]]) -> None:
    while all(process.poll() is None for process in running):
        time.sleep(0.5)
    raise ServeError("The Prefect server or a worker ended by itself; its last lines are above.")


def _stop(running: Sequence[subprocess.Popen[bytes]], api: str) -> None:
    # A second Ctrl-C must not leave behind what the first one was about to stop.
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
    # Before the workers: one that is stopped kills its runs, which the server then believes to be running for ever.
    # Told once, a run writes down that it was interrupted, and its worker says so for one that could not.
    if not (started := descendants(workers)):
        return
    # Until there is none: a worker may begin the next one meanwhile.
    while runs := children(workers):
        end(runs, _PATIENCE_SECONDS)
        started |= descendants(workers)
    # What a run that had to be killed has left behind.
    end(started, 0)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while _are_under_way(api) and time.monotonic() < deadline:
        time.sleep(0.2)


def _are_under_way(api: str) -> bool:
    """Whether the server believes in a run; not where it does not answer."""
    under_way = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
    try:
        answer = httpx.post(f"{api}/flow_runs/count", json={"flow_runs": under_way}, timeout=5).raise_for_status()
    except httpx.HTTPError:
        return False
    return bool(answer.json())
