"""Runs trials, some at once, and adds up what they come to."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from benchmarks.faults.judge import FAULTS
from benchmarks.faults.kinds.catalogue import KINDS
from benchmarks.faults.trial import Outcome, run_trial
from benchmarks.faults.watcher import Watcher
from benchmarks.faults.workshop import Workshop

PROGRESS_SECONDS = 20.0
Planned = tuple[str, str, int]
"""Kind, database and seed of a trial."""


class Campaign:
    """Trials and their outcomes.

    Args:
        folder: Where the jobs of the trials are made, and removed after each.
        workers: How many trials run at once; each worker has processes and a server of its own.
        plain: Whether nights leave out their reports.
        verbose: Whether every trial is printed.

    Attributes:
        outcomes: The trials that are over.
        broken: Trials that could not be carried out, in words.
    """

    def __init__(self, folder: Path, workers: int, *, plain: bool = False, verbose: bool = False) -> None:
        self.outcomes: list[Outcome] = []
        self.broken: list[str] = []
        self._folder, self._workers, self._plain, self._verbose = folder, workers, plain, verbose
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._shown = time.monotonic()

    def run(self, trials: Iterable[Planned]) -> None:
        """Run trials; prints those that do not hold, and how far it is."""
        waiting: queue.SimpleQueue[Planned] = queue.SimpleQueue()
        for trial in trials:
            waiting.put(trial)
        self._total = waiting.qsize()
        # Not below pytest's folder, which only root may enter.
        for number in range(min(self._workers, self._total)):
            thread = threading.Thread(target=self._work, args=(self._folder / f"worker{number}", waiting), daemon=True)
            thread.start()
            self._threads.append(thread)
        for thread in self._threads:
            while thread.is_alive():
                thread.join(0.2)

    def close(self) -> None:
        """Let the workers end after the trials that they are at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    @property
    def failed(self) -> int:
        """The exit code: 1 if anything was found, or a trial could not be carried out."""
        return int(bool(self.broken) or not self.outcomes or not all(each.held for each in self.outcomes))

    def figures(self) -> dict[str, float | int | str | None]:
        """The counts of all trials, then of each kind and database."""
        sums = Counter[str]()
        for each in self.outcomes:
            sums.update(each.findings.counts)
        figures: dict[str, float | int | str | None] = {
            "tried": sum(each.tries for each in self.outcomes),
            "held": sum(each.kept for each in self.outcomes),
            **{fault: sums[fault] for fault in FAULTS},
            "looks": sum(each.seen.looks for each in self.outcomes),
            "not_carried_out": len(self.broken),
        }
        for kind, database in sorted({(each.kind, each.database) for each in self.outcomes}):
            of_kind = [each for each in self.outcomes if (each.kind, each.database) == (kind, database)]
            figures[f"{kind}.{database}.tried"] = sum(each.tries for each in of_kind)
            figures[f"{kind}.{database}.held"] = sum(each.kept for each in of_kind)
            inputs = sum((each.inputs for each in of_kind), Counter[str]())
            figures |= {f"{kind}.{database}.{name.replace(' ', '_')}": count for name, count in sorted(inputs.items())}
        return figures

    def _work(self, folder: Path, waiting: queue.SimpleQueue[Planned]) -> None:
        workshop, watcher = Workshop(folder, self._plain), Watcher()
        try:
            while not self._stop.is_set():
                try:
                    kind, database, seed = waiting.get_nowait()
                except queue.Empty:
                    break
                try:
                    self._note(run_trial(workshop, watcher, (kind, KINDS[kind].fault), database, seed))
                except Exception:
                    with self._lock:
                        self.broken.append(f"{kind} on {database}, seed {seed}")
                        print(f"NOT CARRIED OUT: {self.broken[-1]}\n{traceback.format_exc()}", flush=True)
        finally:
            with suppress(Exception):
                watcher.close()
            workshop.close()

    def _note(self, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)
            if self._verbose and outcome.held:
                print(f"held: {outcome.command}: {outcome.how}, {outcome.seconds:.1f} s", flush=True)
            if not outcome.held:
                print(f"DID NOT HOLD: {outcome.command}\n  {outcome.how}", flush=True)
                for note in outcome.findings.notes:
                    print(f"  {note}", flush=True)
            if time.monotonic() - self._shown > PROGRESS_SECONDS:
                self._shown = time.monotonic()
                held = sum(each.held for each in self.outcomes)
                print(f"{len(self.outcomes)} of {self._total} trials, {held} held", flush=True)
