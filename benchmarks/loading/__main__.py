"""Processor seconds of a whole night that only loads its network, from the start of its process to its end.

    python -m benchmarks.loading [--rounds 9] [--beside DIR]

The job is that of the demo, 60 daily series on SQLite. Its first night trains a few steps. Then each round runs the
second night in a fresh copy, in a process of its own as a scheduler would. Figures are medians over the rounds. A busy
machine raises processor seconds too, by half at a load of five a core.

With `--beside`, the night of another checkout takes turns with it, with the same installed libraries. The ratio is the
median over the rounds, below 1 where this one is faster, and hardly changes with the load.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from benchmarks.shared.command import ROOT, Finished, load_at_start, run_command
from benchmarks.shared.record import command_line, record_and_print
from flows.night.demo import make_example
from tasks.reading.example_source import DAYS_AHEAD, LAST_DAY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--beside", type=Path, help="another checkout to measure in the same minutes")
    given = parser.parse_args()
    figures: dict[str, float | None] = {"load_at_start": load_at_start(), "rounds": given.rounds}
    with tempfile.TemporaryDirectory() as folder:
        figures |= measure(Path(folder), given.rounds, given.beside)
    record_and_print("loading", figures, command_line("loading", sys.argv[1:]))


def measure(folder: Path, rounds: int, beside: Path | None) -> dict[str, float | None]:
    """Run the nights of every round in an empty folder.

    Returns:
        Figure to value; a name ends in its unit.
    """
    # Processes share compiled modules, as they do wherever Python may write.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sites = [train_night(folder / "this", ROOT)] + ([] if beside is None else [train_night(folder / "beside", beside)])
    # A first round does not count: it reads files from disk and compiles imports.
    for number in range(-1, rounds):
        for site in sites if number % 2 else reversed(sites):
            night = load_night(site, folder / "copy")
            if number >= 0:
                site.nights.append(night)
    nights = sites[0].nights
    figures: dict[str, float | None] = {
        "night_cpu_seconds": statistics.median(night.cpu_seconds for night in nights),
        "night_cpu_seconds_least": min(night.cpu_seconds for night in nights),
        "night_seconds": statistics.median(night.seconds for night in nights),
        "night_peak_mib": statistics.median(night.peak_mib for night in nights),
    }
    for site in sites[1:]:
        pairs = zip(nights, site.nights, strict=True)
        figures |= {
            "beside_cpu_seconds": statistics.median(night.cpu_seconds for night in site.nights),
            "cpu_ratio": statistics.median(night.cpu_seconds / other.cpu_seconds for night, other in pairs),
        }
    for stage in nights[0].answer["seconds"]:
        figures[f"{stage}_seconds"] = statistics.median(night.answer["seconds"][stage] for night in nights)
    return figures


class Site(NamedTuple):
    """A checkout, the job whose first night it has trained, and its nights that loaded the network."""

    root: Path
    job: Path
    nights: list[Finished]


def train_night(folder: Path, root: Path) -> Site:
    """Make the job in a folder, and let a checkout run its first night: each may write versions of its own format."""
    job = make_example(folder).job_file
    job.write_text(job.read_text(encoding="utf-8").replace("max_steps: 600", "max_steps: 5"), encoding="utf-8")
    run_command(["run", str(job), "--cutoff", str(LAST_DAY - timedelta(days=DAYS_AHEAD)), "--json"], root)
    return Site(root, job, [])


def load_night(site: Site, copy: Path) -> Finished:
    """Run the second night in a copy of a site's folder, by its code.

    Raises:
        RuntimeError: it does not load its network.
    """
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(site.job.parent, copy)
    # Midnight in Madrid, in UTC: older commits cannot load where the cutoff has another zone.
    arguments = ["--cutoff", f"{LAST_DAY - timedelta(days=1)}T23:00Z", "--train", "never", "--json"]
    night = run_command(["run", str(copy / site.job.name), *arguments], site.root)
    if night.answer["train_mode"] != "load":
        raise RuntimeError(f"The night of {site.root} did not load its network: {night.answer['message']}")
    return night


if __name__ == "__main__":
    main()
