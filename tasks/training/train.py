"""Train as an order says, and put the model beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.segments import segments_of
from models.lifecycle.retraining import built_for
from models.panel.panel import Panel
from models.training.progress import Progress
from sql.full_disk import told_of_full_disk
from tasks.runner.shared_files import at_hand
from tasks.store.panel_file import load_panel
from tasks.store.version_store import SERIES_FILE, fetch_version, known_series
from tasks.training.order import MODEL, Order, Trained

if TYPE_CHECKING:
    from models.network.forecaster import Forecaster


def train(folder: Path, on_progress: Callable[[Progress], None]) -> Trained:
    """Train as the order in a local folder says; the model's files and `trained.json` are then in the same folder.

    Args:
        folder: Where `Order.write` put the order.
        on_progress: Called after each round of steps.

    Raises:
        TrainingFailed: there is nothing to learn from, or the loss diverged.
        DamagedVersion: the version to continue cannot be read.
        FullDisk: the folder's disk takes nothing more.
    """
    with told_of_full_disk(folder):
        return _train(folder, on_progress)


def _train(folder: Path, on_progress: Callable[[Progress], None]) -> Trained:
    order = Order.read(folder)
    panel = load_panel(at_hand(order.panel, folder))
    before = None if order.start is None else fetch_version(order.start, folder)
    # These imports take seconds: errors in the order must come first.
    from models.hierarchy.training_panel import training_panel
    from tasks.quiet_keras import quiet_import

    with quiet_import():
        from models.network.forecaster import Forecaster
        from models.training.fit import fit

    panel = training_panel(panel, order.levels)
    start = None if before is None else Forecaster.load(before)
    forecaster, report = fit(
        panel,
        order.forecast,
        order.network,
        order.training,
        start_from=start,
        steps_before=order.steps_before,
        on_progress=on_progress,
    )
    trained = Trained(
        asdict(report),
        built_for(order.forecast, order.network, panel.covariates),
        list(forecaster.choices),
        forecaster.summary,
    )
    if not trained.kept_champion:
        trained = _compared(trained, forecaster, panel, order, folder)
        _save_model(forecaster, panel, order, folder / MODEL, before)
    trained.write(folder)
    return trained


def _compared(trained: Trained, forecaster: Forecaster, panel: Panel, order: Order, folder: Path) -> Trained:
    """The answer with what the new network and the champion lost on steps that neither has learnt from."""
    if order.champion is None or order.champion_until is None:
        return trained
    from models.lifecycle.comparison import Rivals, compare_held_out
    from models.network.forecaster import Forecaster

    champion = Forecaster.load(fetch_version(order.champion, folder))
    age = panel.cutoff_index - panel.grid.position(order.champion_until)
    stride, segments = max(1, round(panel.grid.steps_per_day)), segments_of(panel, order.segments)
    held_out = compare_held_out(Rivals(forecaster, champion, panel, order.forecast, segments, stride), age)
    by_segment = {name: list(sums) for name, sums in held_out.segments.items()}
    return replace(trained, by_step=held_out.by_step.tolist(), by_segment=by_segment)


def _save_model(forecaster: Forecaster, panel: Panel, order: Order, folder: Path, before: Path | None) -> None:
    """Save the new version's files into a folder; `before` is that of the version that was continued."""
    from tasks.reading.history_file import write_summary

    folder.mkdir(exist_ok=True)
    forecaster.save(folder)
    known = panel.accepted_ids
    if before is not None:
        known = np.union1d(known, known_series(before))
    # Series outside the sample count as known: another training would not learn from them either.
    np.save(folder / SERIES_FILE, np.unique(known), allow_pickle=False)
    if not order.levels:  # aggregates need the whole history of their parts
        write_summary(folder, panel, order.source_fingerprint)
