"""Many nights one after the other: what grows, in one process and in the worker of a Prefect server.

    python -m benchmarks.soak [--nights 200] [--flows 100]

A small job with a tiny network runs a night for each day. After each, these are measured:

    memory_mib      resident memory of the process
    files, threads  open files, and threads
    children        processes that it has started and that still are there
    temporary       files and folders in its folder for temporary files
    bytes_a_row     size of the output database over the rows of its forecasts

`nights.*` are those of a process that runs the nights as plain functions, `flows.*` those of a worker whose runs each
have a process of their own. `…_growth` compares the median of the last fifth with that of the nights 20 to 60, in
percent; for counts it is the difference. If something grows by more than 3 %, the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.shared.record import command_line, record
from benchmarks.soak.flows import flow_samples
from benchmarks.soak.growth import Sample, figures_of, grown
from benchmarks.soak.nights import night_samples


def main() -> None:
    """Run the nights, print, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=200, help="nights in one process")
    parser.add_argument("--flows", type=int, default=100, help="flows of one worker")
    parser.add_argument("--dry", action="store_true", help="print the figures without recording them")
    given = parser.parse_args()
    figures: dict[str, float | int | str | None] = {"nights": given.nights, "flows": given.flows}
    with tempfile.TemporaryDirectory(prefix="nightcast-soak-", ignore_cleanup_errors=True) as folder:
        samples: dict[str, list[Sample]] = {}
        if given.nights:
            samples["nights"] = night_samples(Path(folder) / "nights", given.nights)
        if given.flows:
            samples["flows"] = flow_samples(Path(folder) / "flows", given.flows)
    for name, each in samples.items():
        figures |= {f"{name}.{figure}": value for figure, value in figures_of(each).items()}
    for name, value in figures.items():
        print(f"{name:<40}{value if isinstance(value, str) else format(value, ',.4g'):>14}")
    if not given.dry:
        print(f"Kept in {record('soak', figures, command_line('soak', sys.argv[1:]))}")
    found = [f"{name}: {what}" for name, each in samples.items() for what in grown(each)]
    print("\n".join(found) or "Nothing grows.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
