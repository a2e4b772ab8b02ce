"""The nights of the simulated company, one after the other, each with its events."""

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

from benchmarks.shared.command import ROOT
from benchmarks.year.company import Company
from benchmarks.year.databases import Databases, add_rows, drop_tables, forget_after
from benchmarks.year.job import HOUR, ZONE, settings_of
from flows.deployments.dispatch import dispatch, run_night
from flows.job.job import LoadedJob, load_job
from flows.night.backfill import Span, backfill_nights
from models.lifecycle.retraining import Policy
from sql.output import history
from tasks.run.lock import AlreadyRuns

PROGRESS_EVERY = 10
# A night in a process of its own. It stops before a stage until it reads a line.
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
        company: The company and its events.
        folder: Where the job and its results are.
        databases: Source and output.
        train_every: The job may train on every so many nights, and only loads on the nights between them.
        settings: Changes of the job, by its parts.
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
        self._journal_file = folder / "nights.jsonl"
        self._job_file = folder / "year.yaml"

    @property
    def job(self) -> LoadedJob:
        """The job, once it is written."""
        return load_job(self._job_file)

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Day, seconds and course of each night that is over."""
        if not self._journal_file.exists():
            return []
        return [json.loads(line) for line in self._journal_file.read_text(encoding="utf-8").splitlines()]

    def run(self) -> None:
        """Run every night that is not over yet."""
        over = len(self.journal)
        self.databases.allow()
        if over:
            forget_after(self.databases.source, self.company.cutoffs[over - 1] + pd.Timedelta(hours=25))
        else:
            self._begin()
        for number, cutoff in enumerate(self.company.cutoffs[over:], over):
            if number:
                add_rows(self.databases.source, "sales", self.company.rows_of(self.company.day(cutoff)))
            self._run_and_note(f"{cutoff:%Y-%m-%d}")
            if (number + 1) % PROGRESS_EVERY == 0 or number + 1 == self.company.nights:
                self._show_progress()

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = settings_of(self.databases, self._settings)
        self._job_file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        drop_tables(self.databases.source)
        add_rows(self.databases.source, "sales", self.company.history())
        add_rows(self.databases.source, "promotions", self.company.promotions())

    def _run_and_note(self, cutoff: str) -> None:
        began, processor = time.perf_counter(), time.process_time()
        how = self._night(cutoff)
        entry = {
            "night": cutoff,
            "seconds": round(time.perf_counter() - began, 2),
            "processor": round(time.process_time() - processor, 2),
            "how": how,
        }
        with self._journal_file.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")

    def _show_progress(self) -> None:
        journal = self.journal
        last = journal[-PROGRESS_EVERY:]
        seconds = sum(entry["seconds"] for entry in last) / len(last)
        print(f"{last[-1]['night']}: {len(journal)} nights, the last {len(last)} took {seconds:.1f} s each", flush=True)

    def _night(self, cutoff: str) -> str:
        """Run one night with its events; describes how it went."""
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
            how += ", " + self._fill_in(plan.skipped[0])
        if plan.away and pd.Timestamp(cutoff) == pd.Timestamp(plan.away) + pd.Timedelta(days=1):
            how += ", " + self._fill_in(plan.away)
        return how

    def _run(self, cutoff: str) -> str:
        number = (pd.Timestamp(cutoff) - self.company.cutoffs[0]).days
        trains = number % self._train_every == 0 or cutoff == self.company.plan.damaged
        policy: Policy | None = None if trains else "never"
        night = run_night(self._job_file, cutoff=cutoff, now=_morning(cutoff), train=policy)
        return f"{night.state}, {night.train_mode}: {night.train_reason}"

    def _without_source(self, cutoff: str) -> str:
        self.databases.refuse()
        try:
            return self._run(cutoff)
        except Exception as error:
            return f"failed: {error}"
        finally:
            self.databases.allow()

    def _begun_before(self, cutoff: str) -> str:
        """A night that another process has begun: it is started again meanwhile, or the other process is killed."""
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
        """A process whose night has stopped before a stage."""
        command = [sys.executable, "-c", STOPPED, str(self._job_file), cutoff, f"{_morning(cutoff)}", stage]
        process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout
        if process.stdout.readline().strip() != "stopped":
            raise RuntimeError(f"The night of {cutoff} did not reach {stage}.")
        return process

    def _damage(self) -> None:
        """Cut the champion's weights in half."""
        places = self.job.places
        champion = history.champion(places.engine(), places.job)
        assert champion
        weights = max(Path(places.versions, places.job, champion["version"]).rglob("*.npz"), key=os.path.getsize)
        whole = weights.read_bytes()
        weights.write_bytes(whole[: len(whole) // 2])

    def _fill_in(self, cutoff: str) -> str:
        filled = backfill_nights(self._job_file, Span(cutoff, cutoff), dispatch)
        return ", ".join(f"{cutoff} filled in: {night.state}" for night in filled.nights)


def _morning(cutoff: str) -> datetime:
    return (datetime.fromisoformat(cutoff) + timedelta(days=1, hours=HOUR)).replace(tzinfo=ZoneInfo(ZONE))
