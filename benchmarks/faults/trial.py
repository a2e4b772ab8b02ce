"""One trial: a job, a fault, the next ordinary night, and what is found after each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import sqlalchemy as sa

from benchmarks.faults.judge import Findings, files_of, judge, secrets_in, surprises
from benchmarks.faults.site import NIGHTS, SMALL, Shape, Site
from benchmarks.faults.watcher import Seen, Watcher
from benchmarks.faults.workshop import Course, Workshop
from benchmarks.faults.zygote import Hung, Night

BOTH = ("sqlite", "postgresql")


@dataclass
class Outcome:
    """What a trial came to.

    Attributes:
        kind, database, seed: Which trial it was.
        findings: The faults.
        seen: What the reader saw meanwhile.
        seconds: How long it took.
        how: How the broken night ended, in words.
        inputs: For a trial of many inputs: how many ended how.
    """

    kind: str
    database: str
    seed: int
    findings: Findings
    seen: Seen
    seconds: float
    how: str = ""
    inputs: Counter[str] = field(default_factory=Counter)

    @property
    def tries(self) -> int:
        """How much was tried: a trial, or its inputs."""
        return self.inputs.total() or 1

    @property
    def kept(self) -> int:
        """How much of it held."""
        return self.inputs.total() - self.inputs["unexpected"] if self.inputs else int(self.held)

    @property
    def held(self) -> bool:
        """Whether nothing was found."""
        return not +self.findings.counts

    @property
    def command(self) -> str:
        """The command that repeats it."""
        return f"python -m benchmarks.faults --kinds {self.kind} --databases {self.database} --seed {self.seed}"


class Trial:
    """A trial on its way; each kind of fault is a function that takes one.

    Attributes:
        workshop: Makes its job.
        database: `sqlite` or `postgresql`.
        random: Decides everything that is left to chance.
        seed: The number among the trials of its kind.
        inputs: For a trial of many inputs: how many ended how.
        findings: What was found so far.
        site: Its job, once there is one.
        cutoff: The night that is broken.
        how: What was done to it, for people.
        plain: Whether the broken night leaves out its report, which takes most of so small a night.
    """

    def __init__(self, workshop: Workshop, watcher: Watcher, database: str, random: Random, seed: int) -> None:
        self.workshop, self.database, self.random, self.seed = workshop, database, random, seed
        self.inputs = Counter[str]()
        self.findings, self.seen = Findings(), Seen()
        self.site: Site
        self.cutoff = NIGHTS[2]
        self.how = ""
        self.plain = workshop.plain or random.random() < 0.5
        self._watcher = watcher
        self._is_watched = False
        self._known = set[str]()

    def begin(
        self, shape: Shape = SMALL, *, again: bool | None = None, place: Callable[[Path], None] = lambda job: None
    ) -> Site:
        """Make the job and choose the night that is broken: a new one, or one that was published, often revised."""
        self.site = self.workshop.site(shape, self.database, place)
        self._known = files_of(self.site)
        if self.random.random() < 0.5 if again is None else again:
            self.cutoff = NIGHTS[1]
            if self.random.random() < 0.8:
                self.site.revise()
        self.watch()
        return self.site

    def watch(self) -> None:
        """Let a reader look at the job from now on."""
        address = self.site.url.render_as_string(hide_password=False)
        if self.database == "sqlite":
            address = str(self.site.url.database)
        self._watcher.begin(self.database, address, self.site.job / "forecasts", self.site.shape.rows)
        self._is_watched = True

    def start(self, *arguments: str, **order: Any) -> Night:
        """Start the night that is to be broken."""
        return self.site.start("--cutoff", self.cutoff, *arguments, **{"plain": self.plain, **order})

    @property
    def course(self) -> Course:
        """How this night would go without a fault."""
        return self.workshop.course(self.site.shape, self.database, self.plain)

    def ended(self, night: Night, *, settled: bool = False, allowed: Iterable[int] | None = None) -> int:
        """Wait for the broken night and judge what it left; gives its exit code.

        Args:
            night: The night.
            settled: Whether it must have cleared up behind itself already.
            allowed: Its exit codes; any where left out.
        """
        try:
            code = night.wait(120)
        except Hung as error:
            self.findings.add("unexpected", 1, str(error))
            return -9
        self.how += f", ended with {code}"
        self.findings.merge(self.surprises(night, [code] if allowed is None else allowed))
        self.left(settled=settled, published=code == 0)
        return code

    def left(self, *, settled: bool = False, published: bool = False) -> None:
        """Judge what the broken night left.

        Args:
            settled: Whether it must have cleared up behind itself already.
            published: Whether it must be published.
        """
        must = {*NIGHTS[:2], *([self.cutoff] if published else [])}
        self.findings.merge(judge(self.site, must, self._known, at_rest=settled))

    def follow(self, *arguments: str, seconds: float = 120.0, **order: Any) -> None:
        """Run the next ordinary night, of the same cutoff or a later one, and judge what is there then."""
        cutoff = self.random.choice([self.cutoff, NIGHTS[3]])
        published = {str(row.cutoff)[:10] for row in self.site.execute("SELECT cutoff FROM publication")}
        plain = self.workshop.plain or self.random.random() < 0.75
        night = self.site.start("--cutoff", cutoff, *arguments, **{"plain": plain, **order})
        try:
            code = night.wait(seconds)
        except Hung as error:
            self.findings.add("unexpected", 1, f"the next night: {error}")
            return
        if code:
            self.findings.add("unexpected", 1, f"the next night, of {cutoff}, ended with {code}: {night.said[-500:]}")
        self.findings.merge(surprises(night.said))
        must = {*NIGHTS[:2], *published, cutoff}
        self.findings.merge(judge(self.site, must, self._known, at_rest=True))

    def rows(self, cutoff: str) -> pd.DataFrame:
        """The rows of a night, as the table has them now."""
        with self.site.engine().connect() as connection:
            found = pd.read_sql(sa.text("SELECT * FROM forecast"), connection)
        return found[found["cutoff"].astype(str).str.startswith(cutoff)]

    def surprises(self, night: Night, allowed: Iterable[int]) -> Findings:
        """What a night that has ended says, or ends with, though it must not."""
        found, code = surprises(night.said), night.wait()
        if code not in allowed:
            found.add("unexpected", 1, f"exit code {code}: {night.said[-500:]}")
        return found

    def end_watching(self) -> None:
        """Let the reader look no longer."""
        if self._is_watched:
            self._is_watched = False
            self.seen = self._watcher.end()
            self.findings.add("half_nights_seen", len(self.seen.half), f"seen by a reader: {self.seen.half}")

    def finish(self) -> None:
        """End watching, and look for secrets."""
        self.end_watching()
        if hasattr(self, "site"):
            self.findings.merge(secrets_in(self.site))

    def clean(self) -> None:
        """Remove the job."""
        if self._is_watched:
            self._is_watched = False
            self._watcher.end()
        if hasattr(self, "site"):
            self.workshop.remove(self.site)


Kind = Callable[[Trial], None]


def run_trial(workshop: Workshop, watcher: Watcher, kind: tuple[str, Kind], database: str, seed: int) -> Outcome:
    """Run one trial; a campaign that cannot carry it out raises."""
    name, fault = kind
    trial = Trial(workshop, watcher, database, Random(f"{name} {database} {seed}"), seed)
    began = time.monotonic()
    try:
        fault(trial)
        trial.finish()
    finally:
        trial.clean()
    return Outcome(name, database, seed, trial.findings, trial.seen, time.monotonic() - began, trial.how, trial.inputs)
