"""The steps of a backtest: choose cutoffs, train once, forecast from each, let others do so too, score together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.audit import build_panel
from models.challengers import Challenge, challenge
from models.errors import InputError
from models.forecast import Forecast
from models.metrics import evaluate
from models.panel import Panel
from models.scoring import scales_at
from models.settings import AuditSettings, ForecastSettings, NetworkSettings, TrainingSettings
from models.time_grid import TimeGrid
from sql.read import Source
from sql.revisions import known_at
from tasks.covariates import covariates
from tasks.keras_import import quantiles_of, quiet_import
from tasks.read_series import moment_of_knowledge, seen_at
from tasks.rows_store import load_rows
from tasks.step import logger, step
from tasks.workers import spread_over, worker_count

NETWORK = "model"


@dataclass(frozen=True)
class Judged:
    """How good the network, the seasonal naive and the challengers were, over all series and cutoffs.

    Attributes:
        scores: One entry per step (0 for all) and metric: the network's `value`, the seasonal naive's
            `baseline_value`, and under `challengers` the value of each by its name.
        forecasts: Series times cutoffs: how many forecasts each of them made.
        by_fallback: Of the network ("model") and of each challenger: why the seasonal naive, with quantiles
            around it, stood in for it, and how many times.
    """

    scores: list[dict[str, Any]]
    forecasts: int
    by_fallback: dict[str, dict[str, int]]


@step("choose cutoffs")
def choose_cutoffs(
    rows_file: Path, source: Source, forecast: ForecastSettings, policies: AuditSettings, count: int, now: datetime
) -> list[datetime]:
    """Cutoffs a horizon apart, oldest first, the newest a whole horizon before the last observed step.

    Raises:
        InputError: less than half of the history would be left to train on.
    """
    panel = _panel(rows_file, source, forecast, policies, None, now)
    grid = TimeGrid(panel.frequency, panel.time_zone)
    index = panel.cutoff_index - forecast.horizon * np.arange(count, 0, -1)
    if int(panel.lengths.max()) < 2 * forecast.horizon * count:
        most = int(panel.lengths.max()) // (2 * forecast.horizon)
        raise InputError(
            f"The longest series has {panel.lengths.max()} steps: {count} cutoffs of horizon {forecast.horizon} leave "
            f"less than half of them to train on. Ask for at most {most} cutoffs, or for a shorter horizon."
        )
    return [moment.to_pydatetime() for moment in pd.DatetimeIndex(grid.to_utc(index), tz="UTC")]


@step("forecast from {cutoffs} and score")
def backtest(
    rows_file: Path,
    source: Source,
    forecast: ForecastSettings,
    policies: AuditSettings,
    network: NetworkSettings,
    training: TrainingSettings,
    cutoffs: list[datetime],
    challengers: Sequence[str] = (),
) -> Judged:
    """Train at the first cutoff, forecast from each, and give every metric per step and over all.

    Challengers forecast the same panels, at the network's own quantile levels and bounds.
    """
    with quiet_import():
        from models.fitting import fit

    after = datetime.now(UTC) + timedelta(days=1)
    panels = [_panel(rows_file, source, forecast, policies, cutoff, after) for cutoff in cutoffs]
    forecaster, _ = fit(panels[0], forecast, network, training)
    computed_by = quantiles_of()
    nights = [forecaster.predict(panel, quantiles_of=computed_by) for panel in _one_by_one(NETWORK, panels, cutoffs)]
    levels, bounds = nights[0].quantile_levels, (forecaster.plan.lower_bound, forecast.upper_bound)
    others: dict[str, list[Challenge]] = {}
    with spread_over(worker_count(len(challengers) * sum(len(panel.values) for panel in panels))) as spread:
        for name in challengers:
            turn = _one_by_one(name, panels, cutoffs)
            others[name] = [challenge(name, panel, levels, *bounds, spread) for panel in turn]
    return _judge(_panel(rows_file, source, forecast, policies, None, after), panels, nights, others)


def _one_by_one(name: str, panels: list[Panel], cutoffs: list[datetime]) -> Iterator[Panel]:
    """The panels in turn, each told to who waits."""
    for panel, cutoff in zip(panels, cutoffs, strict=True):
        logger().info("%s: forecasting %d series from %s", name, len(panel), f"{cutoff:%Y-%m-%d %H:%M}")
        yield panel


def _judge(whole: Panel, panels: list[Panel], nights: list[Forecast], others: dict[str, list[Challenge]]) -> Judged:
    """Metrics of the network and of each challenger, against what came after each panel as the whole one has it."""
    # Series that begin between two cutoffs are in the later panel only.
    places = [np.searchsorted(whole.series_ids, panel.series_ids) for panel in panels]
    scales = scales_at(whole, whole.season_lengths[0], [panel.cutoff_index for panel in panels])
    actual = np.concatenate([_actual(whole, panel)[place] for panel, place in zip(panels, places, strict=True)])
    scale = np.concatenate([scale[place] for scale, place in zip(scales, places, strict=True)])
    baseline = np.concatenate([night.baseline for night in nights])
    forecasts: dict[str, Sequence[Forecast | Challenge]] = {NETWORK: nights, **others}
    found = {
        name: evaluate(
            actual, np.concatenate([each.quantiles for each in made]), nights[0].quantile_levels, scale, baseline
        )
        for name, made in forecasts.items()
    }
    reasons = {name: [why for each in made for why in each.reason.tolist() if why] for name, made in forecasts.items()}
    return Judged(
        scores=[
            {**score._asdict(), "challengers": {name: found[name][i].value for name in others}}
            for i, score in enumerate(found[NETWORK])
        ],
        forecasts=len(actual),
        by_fallback={name: dict(Counter(each)) for name, each in reasons.items()},
    )


def _panel(
    rows_file: Path,
    source: Source,
    forecast: ForecastSettings,
    policies: AuditSettings,
    cutoff: datetime | None,
    now: datetime,
) -> Panel:
    rows = load_rows(rows_file)
    about: dict[str, Any] = {}
    # The whole history only judges: nothing need be known beyond its end.
    if cutoff is not None:
        grid = TimeGrid(forecast.frequency, forecast.time_zone)
        about = covariates(source, rows_file, moment_of_knowledge(source, grid, cutoff, now))
        rows = seen_at(rows, source, forecast, cutoff, now)
    elif source.recorded_at is not None:
        rows = known_at(rows, now)
    return build_panel(rows, forecast, cutoff=cutoff, now=now, audit=policies, **about)[0]


def _actual(whole: Panel, panel: Panel) -> Any:
    """What came after a panel's cutoff, shape (series, horizon)."""
    return whole.tail(panel.horizon, skip=whole.cutoff_index - panel.cutoff_index - panel.horizon)
