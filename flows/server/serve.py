"""Run a local Prefect server with its pools, workers and deployments, and publish the reports, until interrupted."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import httpx

from flows.job.job import SCHEDULES, jobs_by_name, jobs_folder
from flows.job.schedules import read_schedules
from flows.server.check_jobs import check_jobs
from flows.server.environment import WORKING_FOLDER, server_environment
from flows.server.paused import pause_again, paused
from flows.server.pools import POOLS
from flows.server.prefect_file import check_schedules, prefect_file
from flows.server.processes import children, descendants, end
from tasks.activity import activity, line_hidden

# A machine that is busy takes minutes, and says meanwhile what it waits for.
_START_SECONDS = 600
_PATIENCE_SECONDS = 20
_LOOK_EVERY = 2.0
# A pause or its end in the UI takes a schedule's job away until the schedules are applied again.
_APPLY_EVERY = 20.0
log = logging.getLogger("nightcast")


class ServeError(Exception):
    """The local server or one of its parts did not start, or ended by itself."""


@dataclass(frozen=True)
class ReportsAddress:
    """Where the reports are published."""

    host: str
    port: int


def serve_until_interrupted(host: str, port: int, reports: ReportsAddress, notify: str | None = None) -> None:
    """Start the server, the pools, the deployments, a worker for each pool, and the reports of the jobs folder.

    The job files are read first: what is wrong with one is told, and the others are served. SIGINT or SIGTERM ends
    everything, and the runs that are under way. The server keeps its database in $PREFECT_HOME, by default ~/.prefect,
    and continues with it at the next start. While it runs, it follows what changes in the jobs folder.

    Args:
        host: Address to listen on.
        port: Port of the UI and the API.
        reports: Where to publish the reports.
        notify: Where to send messages when something is wrong, see `flows.server.automations.install`.

    Raises:
        JobError: there is no job whose file can be used, or the schedules or a prefect.yaml cannot be read.
        PortError: a port is taken, or this machine does not have the address.
        PrefectHomeError: the folder of Prefect cannot be written.
        ServeError: a part does not start, or ends by itself.
    """
    # Importing what publishes reports takes half a second, which other verbs need not wait for.
    from flows.server.reports import address_of

    api = f"http://{host}:{port}/api"
    with _stage(f"Reading the jobs of {jobs_folder().resolve()}"):
        deployed = _checked_files()
    _refuse_taken_ports(host, port, reports)
    published = address_of(reports.host, reports.port)
    environment = server_environment(api, published)
    running: list[subprocess.Popen[bytes]] = []
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with _stage("Starting the Prefect server"):
            server = ["flows.server.prefect_server", "server", "start", "--host", host, "--port", str(port)]
            running.append(_start(server, environment))
            _wait_for_server(api, running[0])
        with _stage("Making the work pools"):
            _finish("flows.server.pools", [], environment)
        with _stage("Making the deployments"):
            before = paused(api)
            _finish("prefect", ["--no-prompt", "deploy", "--all", "--prefect-file", str(deployed)], environment)
            seen = _folder_state()
            _apply_schedules(api, is_new=True)
            pause_again(api, before)
        with _stage("Starting the workers"):
            arguments = ["--host", reports.host, "--port", str(reports.port)]
            running.append(_start(["flows.server.reports", *arguments], environment))
            running += [_start(["prefect", "worker", "start", "--pool", pool.name], environment) for pool in POOLS]
            _install_automations(api, notify)
            _wait_for_workers(api, running)
        log.info("The reports are at %s", published)
        log.info("Prefect is at http://%s:%d. Ctrl-C stops it.", host, port)
        with line_hidden():
            _watch(running, api, seen)
    except KeyboardInterrupt:
        log.info("Stopping.")
    finally:
        _stop(running, api)
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _stage(text: str) -> Iterator[None]:
    """A block that is told of at once, and again while it lasts."""
    log.info("%s", text)
    with activity(text):
        yield


def _checked_files() -> Path:
    """Tell what is wrong with job files; gives the prefect.yaml to deploy.

    Raises:
        JobError: as `serve_until_interrupted`.
    """
    found = check_jobs()
    for problem in found.problems.values():
        log.warning("%s", problem)
    if found.problems:
        log.warning("Jobs with a problem fail until their files are mended; the others are served.")
    scheduled = read_schedules()
    log.info("%s", _in_words(found.ready, scheduled))
    file = prefect_file(Path())
    check_schedules(file)
    return file


def _in_words(jobs: Collection[str], scheduled: Collection[str]) -> str:
    without = [job for job in jobs if job not in scheduled]
    told = f"Jobs: {', '.join(jobs)}."
    if not without:
        return told
    hint = f"`nightcast schedule {without[0]} '0 3 * * *'` puts one on a schedule."
    return f"{told} No schedule: {', '.join(without)}. {hint}"


def _refuse_taken_ports(host: str, port: int, reports: ReportsAddress) -> None:
    """Look at both ports before anything starts.

    Raises:
        PortError: one is taken.
    """
    from flows.server.reports import PortError, listen_on

    if _is_healthy(f"http://{host}:{port}/api"):
        raise PortError(
            f"A Prefect server already answers at http://{host}:{port}/api. Stop it, or choose another --port."
        )
    listen_on(host, port, "The Prefect server cannot start", "--").close()
    listen_on(reports.host, reports.port).close()


def _apply_schedules(api: str, is_new: bool) -> None:
    """Apply the schedules; tell also of those that are left out if the folder is new or has changed."""
    from flows.server.apply_schedules import apply_all, left_out

    for each in [*apply_all(api), *(left_out() if is_new else ())]:
        log.info("%s", each)


def _install_automations(api: str, notify: str | None) -> None:
    # Importing Prefect takes 2 s, during which the workers start.
    from flows.server.automations import install

    if not any(each.tells for each in install(api, notify)):
        log.info("No messages are sent when a night goes wrong. Pass --notify URL, or set NIGHTCAST_NOTIFY.")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _start(arguments: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # In a session of its own, so that Ctrl-C reaches only this process, which then stops the others in order.
    return subprocess.Popen(
        _command(arguments), env=environment, cwd=WORKING_FOLDER, stdout=sys.stderr, start_new_session=True
    )


def _finish(module: str, arguments: Sequence[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment, cwd=WORKING_FOLDER, capture_output=True, text=True)
    if done.returncode:
        raise ServeError(f"{module} {' '.join(arguments)} failed: {(done.stderr or done.stdout).strip()[-2000:]}")


def _is_healthy(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _wait_for_server(api: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _is_healthy(api):
        if server.poll() is not None or time.monotonic() > deadline:
            raise ServeError(f"The Prefect server did not answer at {api}; its last lines are above.")
        time.sleep(0.5)


def _wait_for_workers(api: str, running: Sequence[subprocess.Popen[bytes]]) -> None:
    """Wait until each pool that is not paused has a worker."""
    deadline = time.monotonic() + _START_SECONDS
    while waiting := [pool["name"] for pool in _pools(api) if pool["status"] == "NOT_READY"]:
        _refuse_ended(running)
        if time.monotonic() > deadline:
            raise ServeError(f"No worker of the pool {waiting[0]} is ready after {_START_SECONDS} s.")
        time.sleep(0.5)


def _pools(api: str) -> list[dict[str, Any]]:
    try:
        answer = httpx.post(f"{api}/work_pools/filter", json={}, timeout=30).raise_for_status()
    except httpx.HTTPError:
        return [{"name": pool.name, "status": "NOT_READY"} for pool in POOLS]
    names = {pool.name for pool in POOLS}
    return [pool for pool in answer.json() if pool["name"] in names]


def _watch(running: Sequence[subprocess.Popen[bytes]], api: str, seen: object) -> None:
    """Bring the server in line with the jobs folder whenever that changes, until a part ends."""
    latest, looked, applied = seen, time.monotonic(), time.monotonic()
    while True:
        _refuse_ended(running)
        time.sleep(0.5)
        if time.monotonic() - looked < _LOOK_EVERY:
            continue
        # An editor may replace a file in two steps, between which it is not there: look twice.
        before, latest, looked = latest, _folder_state(), time.monotonic()
        is_new = latest == before != seen
        if is_new or looked - applied > _APPLY_EVERY:
            seen = latest if is_new else seen
            _follow(api, is_new)
            applied = time.monotonic()


def _follow(api: str, is_new: bool) -> None:
    try:
        _apply_schedules(api, is_new)
    except Exception as error:
        if is_new:
            log.warning("The change of the jobs folder is not applied: %s", error)


def _folder_state() -> object:
    """What tells whether the jobs of the folder or their schedules have changed."""
    try:
        status = (jobs_folder() / SCHEDULES).stat()
        written = (status.st_mtime_ns, status.st_size)
    except OSError:
        written = None
    return [*jobs_by_name()], written


def _refuse_ended(running: Sequence[subprocess.Popen[bytes]]) -> None:
    if any(process.poll() is not None for process in running):
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
