"""A year of nights of a simulated company through the whole job, with everything that may go wrong in a year.

    python -m benchmarks.year [--database postgresql] [--folder DIR] [--nights 365]

300 daily series in one source database have three years of history. Then follow 365 nights, each at 03:00 in Madrid
with the rows that are there by then. `plan.py` lists the events, `company.py` applies them to the data. If a run is cut
off, start it again with the same folder: it continues where it stopped.

    missing_rows      rows of a night, series and step that are not in the table, or not in the Parquet files
    doubled_rows      rows that occur more than once
    false_alerts      alerts that no event explains, see `events.py`
    nights_to_drift   evaluations from the first on which the drift costs 5 % of the relative loss to the alert; 1 is
                      the same night. The cost is the relative loss over that of the same forecasts without the drift,
                      the median of the week around
    nights_to_shift   the same from the day of the level shift
    nights_to_stale   nights from the first without a row of the newest day to the alert; 1 is the same night
    coverage_error    the largest distance between a quantile level and the share of actuals below it, in points of 100
    coverage_error_undisturbed    the same before the drift, of series without the shift
    reports_not_made  of every thirtieth night, reports that cannot be made again
    nights_with_nothing_planned   evaluations on which an alert of the loss of all series would be false

At the end it compares the figures with the limits of `limits.py`. If a limit is missed, the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import tasks.training.fit_model
from benchmarks.shared.record import command_line, record
from benchmarks.year.company import Company
from benchmarks.year.databases import opened
from benchmarks.year.figures import describe_alerts, figures_of
from benchmarks.year.limits import verdicts_on
from benchmarks.year.nights import Nights
from benchmarks.year.plan import YEAR
from tasks.training.train import train


def main() -> None:
    """Run the year or the rest of it, measure, print, record, and compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="keep everything here; without it, nothing is kept")
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--dry", action="store_true", help="print the figures without recording them")
    given = parser.parse_args()
    # Train in this process: importing TensorFlow takes as long as a night.
    tasks.training.fit_model.train_apart = train  # type: ignore[attr-defined]  # replaces an imported name
    company = Company(10, 30, "2022-01-01", "2025-01-01", given.nights, YEAR)
    with tempfile.TemporaryDirectory() as passing:
        folder = (given.folder or Path(passing)).resolve()
        with opened(given.database, folder) as databases:
            nights = Nights(company, folder, databases)
            nights.run()
            figures, alerts = figures_of(nights)
    print("\n".join(describe_alerts(alerts)))
    for name, value in figures.items():
        shown = "-" if value is None else value if isinstance(value, str) else f"{value:,.4g}"
        print(f"{name:<40}{shown:>14}")
    if not given.dry:
        print(f"Kept in {record('year', figures, command_line('year', sys.argv[1:]))}")
    verdicts = verdicts_on(figures)
    print("\n".join(map(str, verdicts)))
    sys.exit(not all(verdict.kept for verdict in verdicts))


if __name__ == "__main__":
    main()
