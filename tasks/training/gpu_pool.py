"""Training on a worker of the pool `gpu`: what the night hands over, and what the worker does with it.

Both see one folder, see `shared_folder`. The worker needs neither the source nor the output database.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from models.errors import TrainingFailed
from tasks.night.night import Night
from tasks.prefect_ui import label_run
from tasks.private_files import private_files
from tasks.runner.shared_files import fetch, shared_folder, store
from tasks.training.order import MODEL, ORDER, TRAINED, Order, Trained
from tasks.training.own_process import train_apart
from tasks.training.progress import training_progress
from tasks.training.sub_flow import SubFlowFailed, run_deployed

# Flow and deployment in prefect.yaml.
FIT = "fit/fit"


def train_on_gpu(night: Night, order: Order, folder: Path) -> Trained:
    """As `train_apart`, on a worker of the pool; the model's files are in `folder` afterwards.

    Args:
        night: The night.
        order: What to train, with a local panel.
        folder: Local folder in the run's scratch.

    Raises:
        TrainingFailed: no model came back, for whatever reason.
    """
    try:
        with shared_folder(night.places, night.run_id, folder, this_machine=False) as shared:
            if "://" in shared:
                order = order.model_copy(update={"panel": store(Path(order.panel), shared)})
            store(order.write(folder), shared)
            run_deployed(
                FIT,
                f"{night.job.name} {night.cutoff:%Y-%m-%d %H:%M} fit",
                {"folder": shared},
                start_within=night.job.runner.gpu_wait,
                # Fetching the panel, importing and compiling take time too.
                limit=order.training.time_limit + night.job.runner.gpu_wait,
            )
            fetch(f"{shared}/{TRAINED}", folder)
            trained = Trained.read(folder)
            if not trained.kept_champion:
                shutil.unpack_archive(fetch(f"{shared}/{MODEL}.zip", folder), folder / MODEL)
            return trained
    except (SubFlowFailed, OSError) as error:
        raise TrainingFailed(f"on the pool gpu, {error}") from error


@private_files()
def train_handed_over(shared: str) -> Trained:
    """What the worker does: train as the order in a folder says, and put the model and `trained.json` there.

    Raises:
        TrainingFailed: also where this worker cannot see the folder.
        Exception: what training failed with.
    """
    with TemporaryDirectory(prefix="nightcast-") as scratch:
        folder = Path(scratch)
        try:
            fetch(f"{shared}/{ORDER}", folder)
        except FileNotFoundError as error:
            raise TrainingFailed(
                f"A worker on {os.uname().nodename} cannot see {shared}. Workers of other machines need "
                "output.versions to be s3://, gs:// or az://, or output.report in a folder that they share."
            ) from error
        label_run(Order.read(folder).job)
        with training_progress() as on_progress:
            trained = train_apart(folder, on_progress)
        if not trained.kept_champion:
            store(Path(shutil.make_archive(str(folder / MODEL), "zip", folder / MODEL)), shared)
        # Written last: it shows that the rest is there.
        store(folder / TRAINED, shared)
    return trained
