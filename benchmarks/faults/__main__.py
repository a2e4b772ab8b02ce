"""Breaks nights on purpose, each in a job of its own, and judges from outside what is left.

    python -m benchmarks.faults [--short] [--kills 200] [--mutations 10000] [--kinds K ...] [--databases D ...]

A trial is a small job that ran two nights, a fault, and the next ordinary night. Meanwhile a reader looks at the view
`latest_forecast` and at the Parquet files. Counted after the fault and after the next night:

    tried, held         trials, and those in which nothing below was found
    lost_rows           rows of a published night, series and step that are missing
    doubled_rows        rows that occur more than once
    parquet_unlike_sql  nights whose file differs from the table, in its rows or in its run
    half_nights_seen    nights of which a part was to be seen, by the reader or afterwards
    secrets_seen        passwords of the environment in output, tables or files
    left_over_files     files and folders that no published night explains, temporary files, and lock files
    stayed_running      rows of `run` that say `running` though nothing runs
    unexpected          tracebacks, "unexpected" errors, nights that hang, and next nights that fail

A trial that does not hold is printed with the command that repeats it. Without `--seed` all of these are run.
Without `--dry` a whole run, also one that is interrupted, is recorded. If anything was found, the exit code is 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.faults.campaign import Campaign
from benchmarks.faults.kinds import disks
from benchmarks.faults.kinds.catalogue import KINDS, Plan
from benchmarks.shared.record import command_line, record


def main() -> None:
    """Run the campaign, print, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="some trials of each kind that is quick: two minutes")
    parser.add_argument("--kills", type=int, default=200, help="kills of each database")
    parser.add_argument("--mutations", type=int, default=10_000, help="mutated job files and tables in all")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), help="only these kinds")
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--seed", type=int, help="only the trial of this seed, of each kind and database")
    parser.add_argument("--count", type=int, help="so many trials of each kind and database")
    parser.add_argument("--workers", type=int, default=2, help="trials at once")
    parser.add_argument("--verbose", action="store_true", help="print every trial")
    parser.add_argument("--dry", action="store_true", help="print the figures without recording them")
    given = parser.parse_args()
    plan = Plan(given.short, given.kills, given.mutations, given.kinds, given.databases, given.seed, given.count)
    began = time.monotonic()
    # As Ctrl-C: the servers and file systems of the trials end with the campaign.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="nightcast-faults-", ignore_cleanup_errors=True) as folder:
        campaign = Campaign(Path(folder), given.workers, plain=given.short, verbose=given.verbose)
        try:
            campaign.run(plan.trials())
        except KeyboardInterrupt:
            print("Interrupted: the figures are those of the trials so far.", flush=True)
        finally:
            campaign.close()
    figures = campaign.figures() | {"full_disks_by": disks.how(), "seconds": time.monotonic() - began}
    for name, value in figures.items():
        print(f"{name:<48}{value if isinstance(value, str) else format(value, ',.6g'):>14}")
    if plan.is_whole and not given.dry:
        print(f"Kept in {record('faults', figures, command_line('faults', sys.argv[1:]))}")
    sys.exit(campaign.failed)


if __name__ == "__main__":
    main()
