"""Nights that are killed, and nights that get a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.judge import surprises
from benchmarks.faults.site import SMALL, WIDE, Site
from benchmarks.faults.trial import Trial
from benchmarks.shared.command import ROOT


def kill_any_time(trial: Trial) -> None:
    """SIGKILL at a random moment."""
    trial.begin(trial.random.choice([SMALL, SMALL, WIDE]))
    after = trial.random.random() * trial.course.seconds
    trial.how = f"SIGKILL after {after:.3f} s"
    night = trial.start()
    time.sleep(after)
    night.signal(signal.SIGKILL)
    trial.ended(night, allowed=(0, -9))
    trial.follow()


def kill_at_stage(trial: Trial) -> None:
    """SIGKILL before or after one of the night's stages."""
    trial.begin()
    stage = trial.random.choice(trial.course.stages)
    _killed_at(trial, f"{trial.random.choice(['before', 'after'])}:{stage}")


def kill_at_commit(trial: Trial) -> None:
    """SIGKILL just before or after the commit, or after the rename that shows the Parquet file."""
    trial.begin(trial.random.choice([SMALL, WIDE]))
    _killed_at(trial, trial.random.choice(["before commit:", "after commit:", "shown:"]))


def kill_at_file_change(trial: Trial) -> None:
    """SIGKILL before one of the night's changes of files: a rename, a removal, a file that is opened for writing."""
    trial.begin()
    changes = trial.course.changes
    _killed_at(trial, f"file:{trial.random.randint(1, changes)}")


def _killed_at(trial: Trial, point: str) -> None:
    trial.how = f"SIGKILL {point}"
    trial.ended(trial.start(fault={"at": point, "does": "SIGKILL"}), allowed=(0, -9))
    trial.follow()


def kill_command(trial: Trial) -> None:
    """SIGKILL at a random moment of the command as people start it, in a process of its own."""
    trial.begin()
    command = Command(trial.site, trial.cutoff)
    time.sleep(trial.random.random() * 8)
    command.process.kill()
    code = command.process.wait()
    trial.how = f"the command, ended with {code}"
    trial.follow()


def signal_command(trial: Trial) -> None:
    """SIGTERM or Ctrl-C at a random moment of the command as people start it, often twice: also while it imports."""
    trial.begin()
    number, times = trial.random.choice([signal.SIGTERM, signal.SIGINT]), trial.random.choice([1, 2])
    after = trial.random.choice([0.1, 1.0, 4.0]) * trial.random.random()
    command = Command(trial.site, trial.cutoff)
    command.wait_until_ready()
    time.sleep(after)
    for _ in range(times):
        command.process.send_signal(number)
        time.sleep(0.002)
    code = command.process.wait(120)
    trial.how = f"the command, {number.name} {after:.3f} s after its beginning, {times} times, ended with {code}"
    trial.findings.add("unexpected", int(code not in (0, 1)), f"exit code {code}: {command.said[-500:]}")
    trial.findings.merge(surprises(command.said))
    trial.left(settled=times == 1, published=code == 0)
    trial.follow()


def signal_any_time(trial: Trial) -> None:
    """SIGTERM or Ctrl-C at a random moment."""
    _signalled(trial, times=1)


def signal_twice(trial: Trial) -> None:
    """SIGTERM or Ctrl-C at a random moment, and again a little later."""
    _signalled(trial, times=2)


def _signalled(trial: Trial, times: int) -> None:
    trial.begin(trial.random.choice([SMALL, SMALL, WIDE]))
    number = trial.random.choice([signal.SIGTERM, signal.SIGINT])
    after = trial.random.random() * trial.course.seconds
    pause = trial.random.choice([0.0, 0.001, 0.01, 0.05, 0.2])
    trial.how = f"{number.name} after {after:.3f} s, {times} times, {pause:g} s between"
    night = trial.start()
    time.sleep(after)
    for _ in range(times):
        night.signal(number)
        time.sleep(pause)
    trial.ended(night, settled=times == 1)
    trial.follow()


def signal_at_commit(trial: Trial) -> None:
    """SIGTERM or Ctrl-C 1 to 20 ms after the file is seen, sometimes twice: while the commit lasts, or just after."""
    trial.begin(trial.random.choice([SMALL, WIDE]))
    number = trial.random.choice([signal.SIGTERM, signal.SIGINT])
    pause, times = trial.random.uniform(0.0, 0.02), trial.random.choice([1, 1, 2])
    file = trial.site.shown(trial.cutoff)
    before, night = _mark(file), trial.start()
    while _mark(file) in (before, None) and night.poll() is None:
        time.sleep(0.0002)
    time.sleep(pause)
    for _ in range(times):
        night.signal(number)
        time.sleep(0.002)
    trial.how = f"{number.name} {1000 * pause:.1f} ms after the rename, {times} times"
    trial.ended(night, settled=times == 1)
    trial.follow()


def signal_at_point(trial: Trial) -> None:
    """SIGTERM or Ctrl-C exactly before or after a stage, a change of files, or the commit."""
    trial.begin()
    points = ["before commit:", "after commit:", "shown:", f"file:{trial.random.randint(1, trial.course.changes)}"]
    points += [f"{trial.random.choice(['before', 'after'])}:{trial.random.choice(trial.course.stages)}"] * 2
    fault = {"at": trial.random.choice(points), "does": trial.random.choice(["SIGTERM", "SIGINT"])}
    trial.how = f"{fault['does']} {fault['at']}"
    trial.ended(trial.start(fault=fault), settled=True)
    trial.follow()


def _mark(file: Path) -> int | None:
    """What changes when another file is renamed to this path."""
    try:
        return os.stat(file).st_ino
    except FileNotFoundError:
        return None


class Command:
    """The command in a process of its own."""

    def __init__(self, site: Site, cutoff: str, *arguments: str) -> None:
        said = site.root / "said"
        said.mkdir(exist_ok=True)
        self._out = said / "command"
        command = [sys.executable, "-m", "flows.start", "run", str(site.file), "--cutoff", cutoff, *arguments]
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=site.environment, stdout=out, stderr=out, start_new_session=True
            )

    def wait_until_ready(self) -> None:
        """Wait until it handles SIGTERM; until then Python itself starts."""
        status = Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            _, _, caught = status.read_text(encoding="ascii").partition("SigCgt:")
            if int(caught.split()[0], 16) >> (signal.SIGTERM - 1) & 1:
                return

    @property
    def said(self) -> str:
        """Its output."""
        return self._out.read_text(encoding="utf-8", errors="replace")
