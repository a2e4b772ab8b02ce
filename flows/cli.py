"""The command `nightcast`; `flows/commands/` holds its verbs."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

import click

from flows.commands.alerts import alerts
from flows.commands.answer import AnsweringGroup
from flows.commands.automations import automations
from flows.commands.models import models
from flows.commands.night import backfill, backtest, check, report, run
from flows.commands.setup import demo, doctor, import_rows, serve


@click.group(cls=AnsweringGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nightcast", message="%(prog)s %(version)s")
def main() -> None:
    """Forecast every series of a database each night, and say when the forecasts get worse.

    JOB is the path of a job's YAML file, or the name of one in the jobs folder
    ($NIGHTCAST_JOBS, else ./jobs, else ./demo).
    """
    # TensorFlow writes pages about the machine before it computes.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Prefect tells its makers of its use unless the environment says this.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    # Python's own answer to SIGTERM is to vanish: the run would stay "running", and its scratch on the disk.
    raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")


for verb in (demo, import_rows, check, run, backtest, backfill, models, alerts, report, serve, automations, doctor):
    main.add_command(verb)

if __name__ == "__main__":
    main()
