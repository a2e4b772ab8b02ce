"""What each part of the network gains: the same training with one thing left out.

    python -m benchmarks.ablation [--data DIR] [--seeds 2] [--sets tourism_monthly pedestrian]

Judged at past cutoffs within the history of each set, a horizon of which is held back; the published test part is
not looked at, so that nothing is chosen by it. One member is trained at each cutoff for each seed. Figures are means
over cutoffs and seeds: MASE and scaled quantile loss (the mean over levels 0.1 to 0.9 of twice the pinball loss,
in the units of MASE), and CPU seconds of training. Each set takes most of an hour on two cores, and has a file of its
own in `benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.shared.command import ROOT
from benchmarks.shared.judge import LEVELS, SETS, Set, metrics
from benchmarks.shared.record import asked, record
from models.audit.build_panel import build_panel
from models.network.forecaster import Forecaster
from models.network.plan import Plan
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit

# How many horizons before the end of the longest series each cutoff lies.
CUTOFFS = {"tourism_monthly": (1, 2, 3, 4), "pedestrian": (1, 40)}
LATER = 7  # More cutoffs after each of the pedestrian's, which the same network serves.

CHANGES: dict[str, Callable[[Plan], Plan]] = {
    "as it is": lambda plan: plan,
    "quantiles in units of the scale": lambda plan: replace(plan, error_units=False),
    "weights of the lags the same for every state": lambda plan: replace(plan, mix_by_state=False),
    "no seasonal lags at all": lambda plan: replace(plan, residual=False),
    "one origin a window": lambda plan: replace(plan, origins=1),
    "new windows drawn more often": lambda plan: replace(plan, half_life=0.3),
    "no calendar": lambda plan: replace(plan, calendar=False),
    "LSTM for GRU": lambda plan: replace(plan, layers=tuple(("lstm", units) for _, units in plan.layers)),
    "two layers": lambda plan: replace(plan, layers=2 * plan.layers),
    "twice the steps": lambda plan: replace(plan, max_steps=2 * plan.max_steps),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of the sets")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    given = parser.parse_args()
    for name in given.sets:
        figures: dict[str, float] = {}
        history = pd.read_parquet(given.data / name / "history.parquet")
        print(f"\n| {name} | MASE | scaled quantile loss | CPU s |\n|---|---|---|---|", flush=True)
        for what, change in CHANGES.items():
            mase, pinball, seconds = measure(SETS[name], history, change, given.seeds)
            print(f"| {what} | {mase:.4f} | {pinball:.4f} | {seconds:.0f} |", flush=True)
            key = what.replace(" ", "_")
            figures |= {f"{key}.mase": mase, f"{key}.scaled_quantile_loss": pinball, f"{key}.cpu_seconds": seconds}
        command = asked("ablation", sys.argv[1:])
        print(f"Kept in {os.path.relpath(record(f'ablation_{name}', figures, command))}", flush=True)


def measure(this: Set, history: pd.DataFrame, change: Callable[[Plan], Plan], seeds: int) -> tuple[float, float, float]:
    """MASE, scaled quantile loss and CPU seconds of a training, means over cutoffs and seeds."""
    forecast = ForecastSettings(frequency=this.frequency, horizon=this.horizon, quantile_levels=LEVELS.tolist())
    step = pd.tseries.frequencies.to_offset(this.frequency)
    wide = history.pivot(index="timestamp", columns="series_id", values="value").asfreq(this.frequency)
    results = []
    for back in CUTOFFS[this.name]:
        first = wide.index[-1] - back * this.horizon * step
        later = range(min(LATER, back - 1) + 1) if this.name == "pedestrian" else (0,)
        cutoffs = [first + night * this.horizon * step for night in later]
        panels = [panel_at(history, cutoff, forecast) for cutoff in cutoffs]
        for seed in range(seeds):
            began = time.process_time()
            forecaster, _ = fit(
                panels[0],
                forecast,
                NetworkSettings(members=1),
                TrainingSettings(seed=seed, time_limit=3_600),
                change_plan=change,
            )
            seconds = time.process_time() - began
            scores = [
                judged(this, forecaster, panel, wide, cutoff) for panel, cutoff in zip(panels, cutoffs, strict=True)
            ]
            results.append((*np.mean(scores, axis=0), seconds))
    mase, pinball, seconds = np.mean(results, axis=0)
    return float(mase), float(pinball), float(seconds)


def panel_at(history: pd.DataFrame, cutoff: pd.Timestamp, forecast: ForecastSettings) -> Panel:
    rows = history[history["timestamp"] <= cutoff][["series_id", "timestamp", "value"]]
    moment = cutoff.to_pydatetime().replace(tzinfo=UTC)
    return build_panel(
        pa.Table.from_pandas(rows, preserve_index=False), forecast, cutoff=moment, now=datetime.now(UTC)
    )[0]


def judged(
    this: Set, forecaster: Forecaster, panel: Panel, wide: pd.DataFrame, cutoff: pd.Timestamp
) -> tuple[float, float]:
    """MASE and scaled quantile loss of one cutoff, over the series that were still observed after it."""
    forecast = forecaster.predict(panel)
    names = list(forecast.series_ids)
    step = pd.tseries.frequencies.to_offset(this.frequency)
    ahead = pd.date_range(cutoff + step, periods=this.horizon, freq=step)
    actual = wide[names].reindex(ahead).to_numpy().T
    past = wide.loc[:cutoff, names].to_numpy()
    scale = np.nanmean(np.abs(past[this.season :] - past[: -this.season]), axis=0)
    known = ~np.isnan(actual).all(axis=1) & (scale > 0)
    found = metrics(actual[known], forecast.quantiles[known], forecast.quantile_levels, scale[known])
    return found["mase"], 2 * found["scaled_quantile_loss"]


if __name__ == "__main__":
    main()
