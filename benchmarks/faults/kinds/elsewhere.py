"""Nights under Prefect whose worker is killed, and nights on a Dask cluster that loses a worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx

from benchmarks.faults.site import JOB, TRAINED, Site
from benchmarks.faults.trial import Trial
from benchmarks.shared.served import OVER, served, wait_until


def killed_under_prefect(trial: Trial) -> None:
    """A night of a deployment, whose process, or worker too, is killed; or somebody cancels it."""
    site = trial.begin()
    whom = trial.random.choice(["night", "night", "worker and night", "cancelled"])
    with served(site.root / "served", site.job, site.environment) as server:
        run = server.start_night(JOB, trial.cutoff)
        state = server.wait_for(run, {"RUNNING", *OVER})
        time.sleep(trial.random.uniform(0, 8))
        if whom == "cancelled":
            with suppress(httpx.HTTPError):
                server.ask(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
        else:
            for pid, words in sorted(server.processes().items()):
                if ("worker start" in words and "--pool cpu" in words and whom != "night") or "flow-run" in words:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        if whom != "worker and night":
            state = server.wait_for(run, OVER)
        trial.how = f"{whom} killed under Prefect, {state}"
    trial.left()
    trial.follow()


def killed_dask_worker(trial: Trial) -> None:
    """One of two workers of a cluster is killed while it forecasts: the night is whole."""
    site = trial.begin(TRAINED)
    with _cluster(site) as (address, workers):
        site.edit(lambda job: job.update(runner={"dask": address, "shard_series": 1}))
        night = trial.start()
        time.sleep(trial.random.uniform(0, 5))
        trial.random.choice(workers).kill()
        trial.how = "a worker killed"
        trial.ended(night, settled=True, allowed=[0])
    site.edit(lambda job: job.pop("runner"))
    trial.follow()


@contextmanager
def _cluster(site: Site) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler, and its two workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address, log = f"tcp://127.0.0.1:{port}", site.root / "said" / "cluster"
    log.parent.mkdir(exist_ok=True)
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
    worker = ["worker", address, "--no-nanny", "--no-dashboard", "--nthreads", "1", "--local-directory"]
    folders = [str(site.root / f"worker{number}") for number in range(2)]
    environment = site.environment | {"TMPDIR": str(site.root)}
    started = []
    with log.open("ab") as out:
        for words in (scheduler, *([*worker, folder] for folder in folders)):
            command = [sys.executable, "-m", "dask", *words]
            started.append(
                subprocess.Popen(
                    command, cwd=site.root, env=environment, stdout=out, stderr=out, start_new_session=True
                )
            )
    try:
        wait_until(lambda: log.read_text(encoding="utf-8", errors="replace").count("Registered to") >= 2, 120)
        yield address, started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()
