"""Training on a worker of the pool `gpu`: what the night hands over, and what the worker does with it.

Both see one folder (see `shared_folder`); the worker needs neither the source nor the output database.
"""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from models.errors import TrainingFailed
from tasks.prefect_ui import label_run
from tasks.runner.shared_files import fetch, shared_folder, store
from tasks.settings import Runner
from tasks.store.places import Places
from tasks.training.order import MODEL, ORDER, TRAINED, Order, Trained
from tasks.training.own_process import train_apart
from tasks.training.progress import told_progress
from tasks.training.sub_flow import SubFlowFailed, run_deployed

# Flow and deployment in prefect.yaml.
FIT = "fit/fit"


def train_on_gpu(places: Places, run_id: str, cutoff: datetime, order: Order, folder: Path, runner: Runner) -> Trained:
    """As `train_apart`, on whichever worker of the pool takes it: the model's files are in `folder` afterwards.

    Args:
        places: The job's places.
        run_id: The run.
        cutoff: Of the night.
        order: What to train, with a local panel.
        folder: Local folder in the run's scratch.
        runner: How long to wait for a worker.

    Raises:
        TrainingFailed: for whatever reason no model came back.
    """
    try:
        with shared_folder(places, run_id, folder, this_machine=False) as shared:
            if "://" in shared:
                order = order.model_copy(update={"panel": store(Path(order.panel), shared)})
            store(order.write(folder), shared)
            run_deployed(
                FIT,
                f"{places.job} {cutoff:%Y-%m-%d %H:%M} fit",
                {"folder": shared},
                start_within=runner.gpu_wait,
                # Beside training itself: fetching the panel, importing, compiling.
                limit=order.training.time_limit + runner.gpu_wait,
            )
            fetch(f"{shared}/{TRAINED}", folder)
            trained = Trained.read(folder)
            if not trained.kept_champion:
                shutil.unpack_archive(fetch(f"{shared}/{MODEL}.zip", folder), folder / MODEL)
            return trained
    except (SubFlowFailed, OSError) as error:
        raise TrainingFailed(f"on the pool gpu, {error}") from error


def train_handed_over(shared: str) -> Trained:
    """What the worker does: train as the order in a folder says, and leave model and answer there.

    Raises:
        TrainingFailed: also where this worker does not see the folder.
        Exception: what training failed with.
    """
    with TemporaryDirectory(prefix="nightcast-") as scratch:
        folder = Path(scratch)
        try:
            fetch(f"{shared}/{ORDER}", folder)
        except FileNotFoundError as error:
            raise TrainingFailed(
                f"A worker on {os.uname().nodename} does not see {shared}. Workers of other machines need "
                "output.versions to be s3://, gs:// or az://, or output.report in a folder that they share."
            ) from error
        label_run(Order.read(folder).job)
        with told_progress() as tell:
            trained = train_apart(folder, tell)
        if not trained.kept_champion:
            store(Path(shutil.make_archive(str(folder / MODEL), "zip", folder / MODEL)), shared)
        # Last, as what says that the rest is there.
        store(folder / TRAINED, shared)
    return trained
