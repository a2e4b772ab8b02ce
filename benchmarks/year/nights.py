"""The nights of the simulated company, one after the other, each with what happens on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import yaml

from benchmarks.year.company import HORIZON, Company
from benchmarks.year.databases import Databases, empty, forget_after, load
from flows.deployments.dispatch import dispatch, run_night
from flows.job.job import LoadedJob, load_job
from flows.night.backfill import Span, backfill_nights
from models.lifecycle.retraining import Policy
from sql.output import history
from tasks.run.lock import AlreadyRuns

ROOT = Path(__file__).parents[2]
ZONE = "Europe/Madrid"
HOUR = 3
TOLD_EVERY = 10
# A night in a process of its own, which stops before a stage until it is told to go on.
STOPPED = """
import sys
from datetime import datetime, timedelta
import flows.night.stages as stages
from flows.deployments.dispatch import run_night

job, cutoff, now, stage = sys.argv[1:]
real = getattr(stages, stage)

def stop(*arguments, **named):
    print("stopped", flush=True)
    sys.stdin.readline()
    return real(*arguments, **named)

setattr(stages, stage, stop)
run_night(job, cutoff=cutoff, now=datetime.fromisoformat(now))
"""


class Nights:
    """The year of one company in one folder.

    Args:
        company: What happens.
        folder: Where the job and all that it leaves lies.
        databases: Where rows come from and forecasts go.
        train_every: Every so many nights the job may train; on those between it only loads.
        settings: Parts of the job instead of the benchmark's own.
    """

    def __init__(
        self,
        company: Company,
        folder: Path,
        databases: Databases,
        train_every: int = 1,
        **settings: dict[str, Any],
    ) -> None:
        self.company, self.folder, self.databases = company, folder, databases
        self._train_every, self._settings = train_every, settings
        self._journal = folder / "nights.jsonl"

    @property
    def job(self) -> LoadedJob:
        """The job, once it has been written."""
        return load_job(self.folder / "year.yaml")

    @property
    def told(self) -> list[dict[str, Any]]:
        """What is known of each night that is over: day, seconds, how it went."""
        if not self._journal.exists():
            return []
        return [json.loads(line) for line in self._journal.read_text(encoding="utf-8").splitlines()]

    def run(self) -> None:
        """Run every night that is not over yet."""
        over = len(self.told)
        self.databases.back()
        if over:
            forget_after(self.databases.source, self.company.cutoffs[over - 1] + pd.Timedelta(hours=25))
        else:
            self._begin()
        for number, cutoff in enumerate(self.company.cutoffs[over:], over):
            if number:
                load(self.databases.source, "sales", self.company.rows_of(self.company.day(cutoff)))
            began, processor = time.perf_counter(), time.process_time()
            how = self._night(f"{cutoff:%Y-%m-%d}")
            told = {
                "night": f"{cutoff:%Y-%m-%d}",
                "seconds": round(time.perf_counter() - began, 2),
                "processor": round(time.process_time() - processor, 2),
                "how": how,
            }
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(told) + "\n")
            if (number + 1) % TOLD_EVERY == 0 or number + 1 == self.company.nights:
                last = self.told[-TOLD_EVERY:]
                seconds = sum(each["seconds"] for each in last) / len(last)
                print(
                    f"{told['night']}: {number + 1} nights, the last {len(last)} took {seconds:.1f} s each", flush=True
                )

    def _begin(self) -> None:
        settings: dict[str, Any] = {
            "name": "year",
            "source": {
                "url": self.databases.source,
                "table": "sales",
                "series_id": ["store", "item"],
                "timestamp": "day",
                "value": "sales",
                "static": ["region"],
                "recorded_at": "loaded_at",
                "delay_hours": HOUR,
                "known_future_from": [
                    {"table": "promotions", "series_id": ["store", "item"], "columns": ["promotion"]},
                ],
            },
            "forecast": {
                "frequency": "D",
                "horizon": HORIZON,
                "time_zone": ZONE,
                "holidays": "ES",
                "missing_future": "zero",
            },
            "audit": {"unit_changes": "rescale", "stale_after_steps": 0},
            "network": {"layers": [{"cell": "gru", "units": 32}]},
            # A busy machine must not make another model of the same nights.
            "training": {"max_steps": 200, "time_limit": 3600},
            "monitor": {"segments": ["region"]},
            "output": {"url": self.databases.output},
        }
        for part, changes in self._settings.items():
            settings[part] = {**settings[part], **changes}
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "year.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        empty(self.databases.source)
        load(self.databases.source, "sales", self.company.history())
        load(self.databases.source, "promotions", self.company.promotions())

    def _night(self, cutoff: str) -> str:
        """Run one night with what happens on it; says how it went."""
        plan = self.company.plan
        if cutoff == plan.away:
            return self._without_source(cutoff)
        if cutoff in (plan.twice, plan.killed):
            return self._begun_before(cutoff)
        if plan.skipped and cutoff == plan.skipped[0]:
            return "skipped"
        if cutoff == plan.damaged:
            self._damage()
        how = self._run(cutoff)
        if plan.skipped and cutoff == plan.skipped[1]:
            how += ", " + self._fill(plan.skipped[0])
        if plan.away and pd.Timestamp(cutoff) == pd.Timestamp(plan.away) + pd.Timedelta(days=1):
            how += ", " + self._fill(plan.away)
        return how

    def _run(self, cutoff: str) -> str:
        number = (pd.Timestamp(cutoff) - self.company.cutoffs[0]).days
        trains = number % self._train_every == 0 or cutoff == self.company.plan.damaged
        policy: Policy | None = None if trains else "never"
        night = run_night(self.folder / "year.yaml", cutoff=cutoff, now=_morning(cutoff), train=policy)
        return f"{night.state}, {night.train_mode}: {night.train_reason}"

    def _without_source(self, cutoff: str) -> str:
        self.databases.away()
        try:
            return self._run(cutoff)
        except Exception as error:
            return f"failed: {error}"
        finally:
            self.databases.back()

    def _begun_before(self, cutoff: str) -> str:
        """A night that another process has begun: started a second time meanwhile, or the other one killed, or both."""
        plan, how = self.company.plan, ""
        first = self._stopped(cutoff, "score")
        if cutoff == plan.twice:
            try:
                how = f"second {self._run(cutoff)}, "
            except AlreadyRuns:
                how = "second refused, "
        if cutoff == plan.killed:
            os.kill(first.pid, signal.SIGKILL)
        first.communicate("" if cutoff == plan.killed else "\n")
        return f"{how}first ended with {first.returncode}, then {self._run(cutoff)}"

    def _stopped(self, cutoff: str, stage: str) -> subprocess.Popen[str]:
        """A night's process that has come as far as a stage."""
        command = [sys.executable, "-c", STOPPED, str(self.folder / "year.yaml"), cutoff, f"{_morning(cutoff)}", stage]
        process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout
        if process.stdout.readline().strip() != "stopped":
            raise RuntimeError(f"the night of {cutoff} did not come as far as {stage}")
        return process

    def _damage(self) -> None:
        """Cut the champion's weights in half."""
        places = self.job.places
        champion = history.champion(places.engine(), places.job)
        assert champion
        weights = max(Path(places.versions, places.job, champion["version"]).rglob("*.npz"), key=os.path.getsize)
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])

    def _fill(self, cutoff: str) -> str:
        filled = backfill_nights(self.folder / "year.yaml", Span(cutoff, cutoff), dispatch)
        return ", ".join(f"{cutoff} filled in: {night.state}" for night in filled.nights)


def _morning(cutoff: str) -> datetime:
    return (datetime.fromisoformat(cutoff) + timedelta(days=1, hours=HOUR)).replace(tzinfo=ZoneInfo(ZONE))
