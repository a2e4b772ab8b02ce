"""Train what an order says, and leave the model beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.calendar.grid import TimeGrid
from models.evaluation.segments import segments_of
from models.lifecycle.retraining import built_for
from models.training.progress import Progress
from tasks.runner.shared_files import at_hand
from tasks.store.panel_file import load_panel
from tasks.store.version_store import SERIES_FILE, fetch_version
from tasks.training.order import MODEL, Order, Trained


def train(folder: Path, tell: Callable[[Progress], None]) -> Trained:
    """Train as the order in a local folder says; the new model's files and the answer are then beside it.

    Args:
        folder: Where `Order.write` put the order.
        tell: Called after each round of steps.

    Raises:
        TrainingFailed: there is nothing to learn from, or the loss diverged.
        DamagedVersion: the version to continue cannot be read.
    """
    order = Order.read(folder)
    panel = load_panel(at_hand(order.panel, folder))
    before = None if order.start is None else fetch_version(order.start, folder)
    # What computes takes seconds to import: whatever is wrong with the order is found before.
    from models.hierarchy.training_panel import training_panel
    from tasks.quiet_keras import quiet_import
    from tasks.reading.history_file import write_summary

    with quiet_import():
        from models.lifecycle.comparison import compare_held_out
        from models.network.forecaster import Forecaster
        from models.training.fit import fit

    panel = training_panel(panel, order.levels)
    start = None if before is None else Forecaster.load(before)
    forecaster, report = fit(panel, order.forecast, order.network, order.training, start_from=start, progress=tell)
    trained = Trained(
        asdict(report),
        built_for(order.forecast, order.network, panel.covariates),
        list(forecaster.choices),
        forecaster.summary,
    )
    if not trained.kept_champion:
        if order.rival is not None and order.rival_until is not None:
            rival = Forecaster.load(fetch_version(order.rival, folder))
            grid = TimeGrid(panel.frequency, panel.time_zone)
            age, stride = panel.cutoff_index - grid.position(order.rival_until), max(1, round(grid.steps_per_day))
            segments = segments_of(panel, order.segments)
            held_out = compare_held_out(forecaster, rival, panel, order.forecast, segments, age, stride=stride)
            by_segment = {name: list(sums) for name, sums in held_out.segments.items()}
            trained = replace(trained, by_step=held_out.by_step.tolist(), by_segment=by_segment)
        model = folder / MODEL
        model.mkdir(exist_ok=True)
        forecaster.save(model)
        # Series outside of the sample count as known: training again would not take them in either.
        known = np.union1d(panel.accepted_ids, _known_before(before))
        np.save(model / SERIES_FILE, known, allow_pickle=False)
        if not order.levels:  # sums need the whole history of their parts
            write_summary(model, panel, order.meaning)
    trained.write(folder)
    return trained


def _known_before(folder: Path | None) -> Any:
    return np.array([], dtype=str) if folder is None else np.load(folder / SERIES_FILE, allow_pickle=False)
