"""Two nights of one job at once."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.faults.site import JOB, SMALL, WIDE
from benchmarks.faults.trial import Trial
from benchmarks.faults.zygote import Hung, Night


def race(trial: Trial) -> None:
    """Two processes run the same night, or two nights, of one job file."""
    trial.begin(trial.random.choice([SMALL, WIDE]))
    _run_both(trial, {}, {})
    trial.follow()


def race_of_two_files(trial: Trial) -> None:
    """Two job files with one name share a reports folder, and their databases are reached by different paths."""
    site = trial.begin()
    other = site.root / "other"
    other.mkdir()
    copied = other / f"{JOB}.yaml"
    shutil.copy(site.file, copied)
    for name in ("source.db", "reports", "forecasts", "versions"):
        os.symlink(site.job / name, other / name)
    given: dict[str, str] = {}
    if trial.database == "sqlite":
        os.symlink(site.job / "forecasts.db", other / "forecasts.db")
    _run_both(trial, {}, {"arguments": ["run", str(copied), "--cutoff", trial.cutoff], "environment": given})
    # The name belongs to the file that was first; the other one is refused from then on.
    [found] = site.execute("SELECT file FROM job")
    site.owner = Path(found.file)
    trial.follow()


def _run_both(trial: Trial, first: dict[str, Any], second: dict[str, Any]) -> None:
    pause = trial.random.choice([0.0, 0.0, 0.01, 0.05, 0.1, 0.3])
    trial.how = f"two at once, {pause:g} s between"
    if "environment" in second:
        second["environment"] = trial.site.environment | second["environment"]
    one = trial.start(**first)
    time.sleep(pause)
    nights = [one, trial.start(**second)]
    codes = [_code(trial, night) for night in nights]
    trial.how += f", ended with {codes}"
    refused = [night for night, code in zip(nights, codes, strict=True) if code]
    for night in refused:
        is_named = "is being run already" in night.said or "name" in night.said
        trial.findings.add("unexpected", int(not is_named), f"refused without a reason: {night.said[-500:]}")
    trial.findings.add("unexpected", int(len(refused) > 1), f"both were refused: {[each.said for each in refused]}")
    trial.ended(one, settled=True)


def _code(trial: Trial, night: Night) -> int:
    try:
        return night.wait()
    except Hung as error:
        trial.findings.add("unexpected", 1, str(error))
        return -9
