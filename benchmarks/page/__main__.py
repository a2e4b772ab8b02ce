"""The size of a night's page, the seconds to write it, and the seconds until a browser shows a series of it.

    python -m benchmarks.page [--series 2000] [--days 730] [--rounds 5]

The series are simulated: counts, and for the largest page random numbers that no compression makes shorter. Chromium
opens the file from disk, each time in a new context; the clock stops
when the first series is drawn.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.page.simulated_night import LEVELS, NIGHTS_AGO, simulate_record, simulate_series
from benchmarks.shared.command import load_at_start
from benchmarks.shared.record import command_line, record_and_print
from tasks.report.series.contents import most_series, pack_series
from tasks.report.write import render

QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LONGEST = 120_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--rounds", type=int, default=5, help="how often the page is written and opened")
    given = parser.parse_args()
    figures: dict[str, float | None] = {"load_at_start": load_at_start(), "series": given.series, "days": given.days}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "night.html"
        for name, whole in (("counts", True), ("random", False)):
            figures |= measure_page(name, given, file, whole=whole)
    record_and_print("page", figures, command_line("page", sys.argv[1:]))


def measure_page(name: str, given: argparse.Namespace, file: Path, *, whole: bool) -> dict[str, float | None]:
    """The figures of one page, each with its name before it; seconds are medians over the rounds."""
    night, record = simulate_series(given.series, given.days, whole=whole), simulate_record()
    held = most_series(night.panels[0], LEVELS, len(NIGHTS_AGO))
    if held < given.series:
        raise SystemExit(f"A page holds {held} such series; {given.series} are too many.")
    packed, written = [], []
    for _ in range(given.rounds):
        began = time.perf_counter()
        block = pack_series(night)
        packed.append(time.perf_counter() - began)
        file.write_text(render(record, block), encoding="utf-8")
        written.append(time.perf_counter() - began)
    opened = open_seconds(file, given.rounds)
    return {
        f"{name}.megabytes": file.stat().st_size / 1e6,
        f"{name}.pack_seconds": statistics.median(packed),
        f"{name}.write_seconds": statistics.median(written),
        f"{name}.open_seconds": statistics.median(opened),
        f"{name}.open_seconds_worst": max(opened),
    }


def open_seconds(file: Path, rounds: int) -> list[float]:
    """Seconds from the address to the first drawn series, for each round."""
    seconds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            began = time.perf_counter()
            page.goto(f"file://{file}")
            page.wait_for_selector("#explorer[data-ready] canvas", timeout=LONGEST)
            seconds.append(time.perf_counter() - began)
            context.close()
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
