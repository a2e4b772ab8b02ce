"""Keep a benchmark's figures: the newest run in JSON, and each run as a line of a history.

    from benchmarks.shared.record import record
    record("speed", {"help_seconds": 0.21}, command=command_line("speed", sys.argv[1:]))

A run overwrites `results/<name>.json` and adds a line to `results/history.md`.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "results"
FIGURES_IN_HISTORY = 12
HISTORY_HEAD = """# Every benchmark run, oldest first

| date | benchmark | commit | machine | figures |
|---|---|---|---|---|
"""


def command_line(name: str, arguments: Sequence[str]) -> str:
    """The command that runs a benchmark again, on any machine.

    A folder in the project or beside it is written relative to the project; any other folder becomes `DIR`.
    """
    return " ".join(["python", "-m", f"benchmarks.{name}", *map(_portable, arguments)])


def _portable(argument: str) -> str:
    if not os.path.isabs(argument):
        return argument
    near = os.path.relpath(argument, FOLDER.parents[1])
    return "DIR" if near.startswith(os.path.join("..", "..")) else near


def record(name: str, figures: Mapping[str, float | int | str | None], command: str, folder: Path = FOLDER) -> Path:
    """Write `<folder>/<name>.json` and add a line to `<folder>/history.md`.

    Args:
        name: The benchmark, a file name without its ending.
        figures: Name of a figure to its value; None for one that could not be measured.
        command: The command that measures the figures again.
        folder: The folder of the results.

    Returns:
        The path of the JSON file.

    Raises:
        ValueError: there are no figures, or one of them is not finite.
    """
    if not figures:
        raise ValueError(f"Benchmark {name!r} has no figures. Give at least one.")
    for key, value in figures.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"Figure {key!r} of benchmark {name!r} is {value}. Give None for what was not measured.")
    rounded = {key: _round(value) for key, value in figures.items()}
    result = {
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "command": command,
        "figures": rounded,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    aside = path.with_suffix(".json.part")
    aside.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(aside, path)
    _add_line(folder / "history.md", name, result, rounded)
    return path


def record_and_print(name: str, figures: Mapping[str, float | None], command: str) -> None:
    """Print each figure, and record them in the folder of the results."""
    for key, value in figures.items():
        print(f"{key:<58}" + (f"{'-':>14}" if value is None else f"{value:>14,.2f}"))
    print(f"Kept in {os.path.relpath(record(name, figures, command))}")


def commit() -> str:
    """The commit that was measured, with `+changes` if the working tree differs from it."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    name = git("rev-parse", "--short=12", "HEAD") or "uncommitted"
    # A run writes results, so they may differ.
    changed = git("status", "--porcelain", "--", ":/", ":!/benchmarks/results")
    return f"{name}+changes" if changed else name


def machine() -> str:
    """Processor, cores, memory, system and Python, in one line."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{_processor()}, {cores} cores, {gibibytes:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    if known.is_file():
        for line in known.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _round(value: float | int | str | None) -> float | int | str | None:
    # More than four significant digits would be noise.
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _add_line(
    path: Path, name: str, result: Mapping[str, object], figures: Mapping[str, float | int | str | None]
) -> None:
    shown = ", ".join(f"{key} {value}" for key, value in list(figures.items())[:FIGURES_IN_HISTORY])
    if len(figures) > FIGURES_IN_HISTORY:
        shown += f", and {len(figures) - FIGURES_IN_HISTORY} more"
    cells = [str(result["date"]), name, str(result["commit"]), str(result["machine"]), shown]
    line = "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |\n"
    if not path.exists():
        path.write_text(HISTORY_HEAD, encoding="utf-8")
    with path.open("a", encoding="utf-8") as history:
        history.write(line)
