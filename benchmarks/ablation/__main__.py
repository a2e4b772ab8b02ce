"""What each part of the network gains: the same training without that part.

    python -m benchmarks.ablation [--data DIR] [--seeds 2] [--sets tourism_monthly pedestrian]

Forecasts are scored at past cutoffs within the history of each data set. The published test part is not used, so that
nothing is chosen by it. One network is trained at each cutoff for each seed. Figures are means over cutoffs and seeds:
MASE, scaled quantile loss (the mean over levels 0.1 to 0.9 of twice the pinball loss, in the units of MASE), and CPU
seconds of training. Each data set takes most of an hour on two cores, and has a file of its own in
`benchmarks/results/`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.shared.data_sets import DATA_SETS, FOLDER, LEVELS, DataSet
from benchmarks.shared.record import command_line, record
from benchmarks.shared.scoring import metrics
from models.audit.build_panel import build_panel
from models.network.forecaster import Forecaster
from models.network.plan import Plan
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings
from models.training.fit import fit

CUTOFFS = {"tourism_monthly": (1, 2, 3, 4), "pedestrian": (1, 40)}
"""How many horizons before the end of the longest series each cutoff lies."""

LATER = 7
"""Further cutoffs of the pedestrian set after each of those, a horizon apart, with the same network."""

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
    parser.add_argument("--data", type=Path, default=FOLDER, help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", nargs="+", choices=CUTOFFS, default=list(CUTOFFS))
    given = parser.parse_args()
    for name in given.sets:
        figures: dict[str, float] = {}
        past = Past.of(DATA_SETS[name], pd.read_parquet(given.data / name / "history.parquet"))
        print(f"\n| {name} | MASE | scaled quantile loss | CPU s |\n|---|---|---|---|", flush=True)
        for title, change in CHANGES.items():
            mase, loss, seconds = measure(past, change, given.seeds)
            print(f"| {title} | {mase:.4f} | {loss:.4f} | {seconds:.0f} |", flush=True)
            key = title.replace(" ", "_")
            figures |= {f"{key}.mase": mase, f"{key}.scaled_quantile_loss": loss, f"{key}.cpu_seconds": seconds}
        command = command_line("ablation", sys.argv[1:])
        print(f"Kept in {os.path.relpath(record(f'ablation_{name}', figures, command))}", flush=True)


@dataclass(frozen=True)
class Past:
    """The history of a data set.

    Attributes:
        data_set: The data set.
        rows: series_id, timestamp, value.
        wide: Time by series, NaN where not observed.
    """

    data_set: DataSet
    rows: pd.DataFrame
    wide: pd.DataFrame

    @classmethod
    def of(cls, data_set: DataSet, rows: pd.DataFrame) -> Past:
        wide = rows.pivot(index="timestamp", columns="series_id", values="value").asfreq(data_set.frequency)
        return cls(data_set, rows, wide)

    @property
    def forecast(self) -> ForecastSettings:
        return ForecastSettings(
            frequency=self.data_set.frequency, horizon=self.data_set.horizon, quantile_levels=LEVELS.tolist()
        )

    def cutoffs(self, horizons_back: int) -> list[pd.Timestamp]:
        """The cutoff so many horizons before the end, and the later ones that its network also forecasts at."""
        horizon = self.data_set.horizon * pd.tseries.frequencies.to_offset(self.data_set.frequency)
        first = self.wide.index[-1] - horizons_back * horizon
        further = min(LATER, horizons_back - 1) if self.data_set.name == "pedestrian" else 0
        return [first + night * horizon for night in range(further + 1)]

    def panel_at(self, cutoff: pd.Timestamp) -> Panel:
        rows = self.rows[self.rows["timestamp"] <= cutoff][["series_id", "timestamp", "value"]]
        moment = cutoff.to_pydatetime().replace(tzinfo=UTC)
        table = pa.Table.from_pandas(rows, preserve_index=False)
        return build_panel(table, self.forecast, cutoff=moment, now=datetime.now(UTC))[0]


def measure(past: Past, change: Callable[[Plan], Plan], seeds: int) -> tuple[float, float, float]:
    """MASE, scaled quantile loss and CPU seconds of a training, means over cutoffs and seeds."""
    results = []
    for horizons_back in CUTOFFS[past.data_set.name]:
        cutoffs = past.cutoffs(horizons_back)
        panels = [past.panel_at(cutoff) for cutoff in cutoffs]
        for seed in range(seeds):
            began = time.process_time()
            forecaster, _ = fit(
                panels[0],
                past.forecast,
                NetworkSettings(members=1),
                TrainingSettings(seed=seed, time_limit=3_600),
                change_plan=change,
            )
            seconds = time.process_time() - began
            scores = [score(past, forecaster, panel, cutoff) for panel, cutoff in zip(panels, cutoffs, strict=True)]
            results.append((*np.mean(scores, axis=0), seconds))
    mase, loss, seconds = np.mean(results, axis=0)
    return float(mase), float(loss), float(seconds)


def score(past: Past, forecaster: Forecaster, panel: Panel, cutoff: pd.Timestamp) -> tuple[float, float]:
    """MASE and scaled quantile loss of one cutoff, over the series that were observed after it."""
    data_set, wide = past.data_set, past.wide
    forecast = forecaster.predict(panel)
    names = list(forecast.series_ids)
    step = pd.tseries.frequencies.to_offset(data_set.frequency)
    ahead = pd.date_range(cutoff + step, periods=data_set.horizon, freq=step)
    actual = wide[names].reindex(ahead).to_numpy().T
    before = wide.loc[:cutoff, names].to_numpy()
    scale = np.nanmean(np.abs(before[data_set.season_length :] - before[: -data_set.season_length]), axis=0)
    known = ~np.isnan(actual).all(axis=1) & (scale > 0)
    found = metrics(actual[known], forecast.quantiles[known], forecast.quantile_levels, scale[known])
    return found["mase"], 2 * found["scaled_quantile_loss"]


if __name__ == "__main__":
    main()
