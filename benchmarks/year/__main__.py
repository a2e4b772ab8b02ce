"""A year of nights of a simulated company, through the whole job, and what became of all that went wrong in it.

    python -m benchmarks.year [--database postgresql] [--folder DIR] [--nights 365]

300 daily series in one source database, three years of history, then 365 nights in a row, each at 03:00 in Madrid with
the rows that were there by then. `year_plan.py` says what happens, `company.py` what it does to the data. A run that is
ended goes on where it was when it is given the same folder again.

    missing_rows      rows of a night, series and step that are not in the table, or not in the Parquet files
    doubled_rows      rows that are there more than once
    false_alerts      alerts that nothing planned explains, see `explained.py`
    nights_to_drift   evaluations up to the alert since the drift made the loss 5 % worse against the naive's than the
    same
                      forecasts would have lost without it (the middle evaluation of a week around); 1 is the first
    nights_to_shift   the same since the level shifted
    nights_to_stale   nights up to the alert since the source had no row of the newest day; 1 is the same night
    coverage_error    the largest distance of a quantile level from the share of actuals below it, in points (of 100)
    coverage_error_undisturbed  the same before the drift, of series without the shift
    reports_not_made  nights, of every thirtieth, whose report cannot be made again
    nights_with_nothing_planned  evaluations on which an alert of the loss of all series would have been a false one

At the end it says of each limit in `year_limits.py` whether it was kept. Where one was missed, the exit code is 1.
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
from benchmarks.year.figures import figures_of, in_words
from benchmarks.year.limits import verdicts_on
from benchmarks.year.nights import Nights
from benchmarks.year.plan import YEAR
from tasks.training.train import train


def main() -> None:
    """Run the year, or what is left of it; measure, print, record, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="where everything is kept; left out, nothing is")
    parser.add_argument("--nights", type=int, default=365)
    parser.add_argument("--dry", action="store_true", help="print the figures and keep nothing of them")
    given = parser.parse_args()
    # In this process, for TensorFlow takes as long to import as a night takes.
    tasks.training.fit_model.train_apart = train  # type: ignore[attr-defined]  # what the module imports is replaced
    company = Company(10, 30, "2022-01-01", "2025-01-01", given.nights, YEAR)
    with tempfile.TemporaryDirectory() as passing:
        folder = (given.folder or Path(passing)).resolve()
        with opened(given.database, folder) as databases:
            nights = Nights(company, folder, databases)
            nights.run()
            figures, alerts = figures_of(nights)
    print("\n".join(in_words(alerts)))
    for name, value in figures.items():
        told = "-" if value is None else value if isinstance(value, str) else f"{value:,.4g}"
        print(f"{name:<40}{told:>14}")
    if not given.dry:
        print(f"Kept in {record('year', figures, command_line('year', sys.argv[1:]))}")
    verdicts = verdicts_on(figures)
    print("\n".join(map(str, verdicts)))
    sys.exit(not all(verdict.kept for verdict in verdicts))


if __name__ == "__main__":
    main()
