"""How the cost of a night grows with its size, and how close its reads and writes come to the limits of the databases.

    python -m benchmarks.scale [--series 1000 10000] [--days 730] [--hourly 0] [--kinds sqlite postgresql] [--peers]

The sources are simulated: daily series of two years and, with `--hourly`, hourly series of one year. Two nights run on
each source: one trains for a few steps, the other one a horizon later only forecasts. Each has a process of its own as
a scheduler would run it. Beside them, on the same rows, in turn and each in a fresh process: a bare ADBC fetch and the
night's own read, which also checks, encodes and keeps the rows; a bare ADBC ingest into a table without an index and
the night's own indexed, atomic publish. The fastest round of each counts. Last, the view `forecast_vs_actual` of one
night and of one series.

With `--peers`, also a script that a team would write, on the smallest source in SQLite: pandas reads the same rows, a
trained neuralforecast LSTM forecasts them, pandas writes the forecasts. `script_over_night` is the script's seconds
over those of the night's stages from the query to the published rows. Neither counts imports.

The name of a figure begins with `<database>.<series>.`, or with `<database>.hourly_<series>.` for hourly series. The
figures that others read have no prefix: they are the worst of all databases at the largest daily size.
`cost_exponent` is the slope of log(seconds of all stages) over log(series) of the night that forecasts.
`actuals_over_stages` is the share of that night that storing and judging the actuals of a whole horizon takes.
`memory_over_panel` is (the higher peak of the two nights - 1.5 GB of TensorFlow) over the bytes of the float32 panel of
the whole history. Only the night that trains reads all of it, so a small panel may give a negative ratio.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.scale.measure import Measurement, beside_a_script
from benchmarks.scale.simulated_source import sources
from benchmarks.shared.command import load_at_start
from benchmarks.shared.databases import KINDS, databases
from benchmarks.shared.record import command_line, record_and_print

WORST = ("read_over_adbc", "write_over_adbc", "memory_over_panel")
"""Figures of which the highest counts, at the largest size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--hourly", type=int, default=0, help="hourly series of a year, 0 for none")
    parser.add_argument("--peers", action="store_true", help="also a script; the first time installs neuralforecast")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, default=3, help="how often each read and each write is measured")
    given = parser.parse_args()
    figures: dict[str, float | None] = {"load_at_start": load_at_start()}
    wanted = sources(given.series, given.days, given.hourly)
    for kind in given.kinds:
        for source in wanted:
            print(f"{kind}, {source.name} series", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder, databases(kind, Path(folder)) as make_url:
                found = Measurement(Path(folder), make_url, source, given.rounds).run()
                if given.peers and kind == "sqlite" and source is wanted[0]:
                    figures |= beside_a_script(Path(folder), found)
            figures |= {f"{kind}.{source.name}.{name}": value for name, value in found.items()}
            # A run takes hours. If it is cut off, these lines keep what it found.
            print(f"{kind}, {source.name} series: {json.dumps(found)}", file=sys.stderr, flush=True)
        if len(given.series) > 1:
            figures[f"{kind}.cost_exponent"] = cost_exponent(figures, kind, sorted(given.series))
    for name in WORST:
        figures[name] = max(float(figures[f"{kind}.{max(given.series)}.{name}"] or 0) for kind in given.kinds)
    exponents = [value for kind in given.kinds if (value := figures.get(f"{kind}.cost_exponent")) is not None]
    figures["cost_exponent"] = max(exponents, default=None)
    record_and_print("scale", figures, command_line("scale", sys.argv[1:]))


def cost_exponent(figures: dict[str, float | None], kind: str, sizes: Sequence[int]) -> float:
    """Slope of log(seconds of all stages) over log(series)."""
    seconds = [float(figures[f"{kind}.{series}.stages_seconds"] or 0) for series in sizes]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


if __name__ == "__main__":
    main()
