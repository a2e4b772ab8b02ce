"""Full disks: a small file system of the job's own where this user may mount one, else a limit on the size of files."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.site import SMALL, WIDE
from benchmarks.faults.trial import Trial

_MOUNT = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs"]


@cache
def can_mount() -> bool:
    """Whether this user may mount a file system."""
    with TemporaryDirectory() as folder:
        try:
            done = subprocess.run([*_MOUNT, folder], capture_output=True, check=False).returncode == 0
        except OSError:
            return False
        if done:
            subprocess.run(["umount", folder], check=True)
        return done


def how() -> str:
    """What stands for a full disk here, for the results."""
    return "tmpfs" if can_mount() else "RLIMIT_FSIZE"


def disk_full(trial: Trial) -> None:
    """The disk of the job's folder is full before the night, or fills up while it writes; afterwards there is room."""
    shape = trial.random.choice([SMALL, WIDE])
    if not can_mount():
        _file_limit(trial)
        return
    site = trial.begin(shape, place=_mounted)
    try:
        spare = trial.random.choice([0, 4, 16, 40, 80, 160, 400, 900]) * 1024
        ballast = site.job / "ballast"
        _fill(ballast, spare)
        trial.how = f"{spare} bytes are left"
        night = trial.start()
        night.wait(300)
        # A failed night must leave its files to others: nothing more may be on the full disk than before.
        trial.ended(night, settled=False, allowed=(0, 1))
        left = [
            path.name for path in (site.job / "forecasts").rglob("*") if path.is_file() and path.name[:5] != "part-"
        ]
        trial.findings.add("left_over_files", len(left), f"on the full disk: {left}")
        if night.poll():
            _says_why(trial, night.said)
        ballast.unlink()
        trial.follow()
    finally:
        trial.finish()
        subprocess.run(["umount", "--lazy", str(site.job)], check=True)


def _file_limit(trial: Trial) -> None:
    trial.begin(SMALL)
    limit = trial.random.choice([1, 4, 8, 20, 60, 100]) * 1024
    trial.how = f"no file may grow beyond {limit} bytes"
    trial.ended(trial.start(limits={"RLIMIT_FSIZE": limit}), allowed=(0, 1))
    trial.follow()


def _mounted(folder: Path) -> None:
    subprocess.run([*_MOUNT, str(folder)], check=True)


def _fill(file: Path, spare: int) -> None:
    """Write until so many bytes are left."""
    with file.open("wb", buffering=0) as out:
        while True:
            state = os.statvfs(file.parent)
            left = state.f_bavail * state.f_frsize - spare
            if left <= 0:
                return
            with suppress(OSError):
                out.write(b"\0" * min(left, 1 << 20))
                continue
            return


def _says_why(trial: Trial, said: str) -> None:
    words = (os.strerror(errno.ENOSPC), "no space left", "disk is full", "database or disk is full", "could not extend")
    named = any(word.lower() in said.lower() for word in words)
    trial.findings.add("unexpected", int(not named), f"a full disk is not named: {said[-500:]}")
