"""The command `nightcast`. Its verbs are in `flows/commands/`."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

import click

from flows.commands.alerts import alerts
from flows.commands.anomalies import anomalies
from flows.commands.answer import AnsweringGroup
from flows.commands.automations import automations
from flows.commands.explanation import explain, what_if
from flows.commands.init import init
from flows.commands.models import models
from flows.commands.night import backfill, backtest, check, report, run
from flows.commands.process_end import handle_interrupts, process_end
from flows.commands.schedule import schedule, serve
from flows.commands.setup import demo, doctor, import_rows
from tasks.private_files import private_files


@click.group(cls=AnsweringGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nightcast", message="%(prog)s %(version)s")
def main() -> None:
    """Forecast every series of a database each night, and raise an alert when the forecasts get worse.

    Start with `nightcast demo`: it makes an example and runs it. For your own rows, start with `nightcast init`.

    JOB is the path of a job's YAML file, or the name of a file in the jobs folder without `.yaml`. The jobs folder is
    $NIGHTCAST_JOBS; if that is not set, ./jobs; if there is no such folder, ./demo.

    Every command takes --help. With --json it prints one JSON object for programs. The exit code is 0 when the work is
    done, 1 when it failed, and 2 when the command or its input is wrong.
    """
    # TensorFlow otherwise writes pages about the machine before it computes.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Prefect otherwise sends usage statistics to its makers.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    click.get_current_context().with_resource(private_files())
    if threading.current_thread() is threading.main_thread():
        if process_end.is_ours:
            handle_interrupts(signal.default_int_handler)
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> None:
    # By default SIGTERM ends Python at once: the run would stay "running", and its scratch folder on the disk.
    raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")


for verb in (
    demo, init, import_rows, check, run, backtest, backfill, models, alerts, anomalies, report, explain, what_if,
    schedule, serve, automations, doctor,
):  # fmt: skip
    main.add_command(verb)
