"""Whether a year of nights holds the asked rate of anomalies, and how soon planted ones are found.

    python -m benchmarks.anomalies [--series 1000] [--rate 0.001]

Nothing is trained: `simulation.py` draws actuals, and forecasts that are as wide as their distribution, or 0.7 or 1.4
times as wide. The figures of a kind and a width:

    held            share of actuals that are anomalies over the year, planted ones left out, over the asked rate
    held_first      the same for the first 30 nights
    held_last       the same for the second half of the year
    many            nights that chance does not explain, of 365
    spike, drop     share of planted spikes and drops (6 half widths of the true 90 % interval) that are anomalies
    shift           share of planted level shifts (3 half widths, 14 nights) of which a night is an anomaly
    shift_nights    median number of nights until the first, of those that are found
    shock           share of all series that are anomalies on the one night on which all of them are 6 half widths high
    after_shock     held over the 30 nights after it

Planted ones are about 0.01 % of actuals, and count when later ones are ranked: that much less is left for others.
`judge_seconds` is how long the newest night took: its tail probabilities, and the ranks among past ones.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

from benchmarks.anomalies.simulation import KINDS, LEVELS, SHIFT_NIGHTS, SPIKE, WIDTHS, Year, simulate
from benchmarks.shared.record import command_line, record
from models.anomalies.past_tails import PastTails, count_bins
from models.anomalies.tail_probability import tail_probability
from models.arrays import BoolArray

NIGHTS, FIRST, SHOCK = 365, 30, 300


def main() -> None:
    """Simulate, judge, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="do not record the figures")
    given = parser.parse_args()
    figures: dict[str, float | int | str | None] = {"series": given.series, "nights": NIGHTS, "rate": given.rate}
    for kind in given.kinds:
        for name, width in WIDTHS.items():
            year = simulate(kind, width, NIGHTS, given.series, given.seed)
            found, many, seconds = judge_year(year, given.rate)
            scored = score(year, found, many, given.rate)
            figures |= {f"{kind}.{name}.{key}": value for key, value in scored.items()}
            figures["judge_seconds"] = seconds
            shown = "  ".join(f"{key} {'-' if value is None else f'{value:.2f}'}" for key, value in scored.items())
            print(f"{kind:<10}{name:<7}{shown}", flush=True)
    if not given.dry:
        print(record("anomalies", figures, command_line("anomalies", sys.argv[1:])))


def judge_year(year: Year, rate: float) -> tuple[BoolArray, BoolArray, float]:
    """Which actuals are anomalies, shape (night, series), which nights have many, and the seconds of the newest."""
    rows: list[dict[str, Any]] = []
    found, many = np.zeros(year.actual.shape, bool), np.zeros(len(year.actual), bool)
    seconds = 0.0
    for night, drawn in enumerate(year.actual):
        actual = drawn + SPIKE * year.half if night == SHOCK else drawn
        began = time.perf_counter()
        tails, _ = tail_probability(actual, year.quantiles, LEVELS, year.spread)
        past = PastTails.of(rows[::-1], rate)
        found[night] = past.probability(tails) <= rate
        anomalies = int(found[night].sum())
        many[night] = past.is_many(anomalies, len(actual))
        seconds = time.perf_counter() - began
        state = "many" if many[night] else "ok"
        rows.append({"actuals": len(actual), "anomalies": anomalies, "state": state, "tail_counts": count_bins(tails)})
    return found, many, seconds


def score(year: Year, found: BoolArray, many: BoolArray, rate: float) -> dict[str, float | None]:
    """The figures of one kind and width, see this module."""
    free = ~(year.planted["spike"] | year.planted["drop"] | year.planted["shift"])
    free[SHOCK] = False

    def held(nights: slice) -> float:
        return float(found[nights][free[nights]].mean() / rate)

    usual = np.arange(NIGHTS) != SHOCK
    figures: dict[str, float | None] = {
        "held": held(slice(None)),
        "held_first": held(slice(FIRST)),
        "held_last": held(slice(NIGHTS // 2, None)),
        "many": float(many[usual].sum()),
    }
    for name in ("spike", "drop"):
        planted = year.planted[name] & usual[:, None]
        figures[name] = float(found[planted].mean()) if planted.any() else None
    nights_until = [
        int(np.argmax(stretch)) + 1 if stretch.any() else None
        for night, series in np.argwhere(_begins(year.planted["shift"])).tolist()
        if night + SHIFT_NIGHTS <= SHOCK and (stretch := found[night : night + SHIFT_NIGHTS, series]) is not None
    ]
    until = [each for each in nights_until if each is not None]
    figures["shift"] = len(until) / len(nights_until) if nights_until else None
    figures["shift_nights"] = float(np.median(until)) if until else None
    figures["shock"] = float(found[SHOCK].mean())
    figures["after_shock"] = held(slice(SHOCK + 1, SHOCK + 31))
    return figures


def _begins(mask: BoolArray) -> BoolArray:
    """Where runs of nights begin."""
    before = np.zeros_like(mask)
    before[1:] = mask[:-1]
    return np.asarray(mask & ~before)


if __name__ == "__main__":
    main()
