"""The sets, and what forecasts of anybody are worth on them.

- MASE: of each series, the mean of |error| / in-sample mean |y(t) - y(t - season)| over all its cutoffs, each with
  the history before it; then the mean over series.
- wQL: at the levels 0.1 to 0.9, the mean of 2 * sum of pinball / sum of |actual|, all points pooled.
- sMAPE: the mean of 2 |error| / (|actual| + |forecast|) over all points.
- coverage_80: the share of observed points between the levels 0.1 and 0.9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.metrics.evaluate import evaluate_segments

LEVELS = np.arange(1, 10) / 10
COLUMNS = [f"q{level:.1f}".replace(".", "_") for level in LEVELS]


@dataclass(frozen=True)
class Set:
    """A data set and how it is judged."""

    name: str
    frequency: str
    horizon: int
    season: int


SETS = {each.name: each for each in (Set("tourism_monthly", "MS", 24, 12), Set("pedestrian", "h", 48, 24))}


def cutoffs(this: Set, history: pd.DataFrame, actuals: pd.DataFrame) -> list[pd.Timestamp]:
    """The nights to run, oldest first: one where each series' history ends, and every horizon after it."""
    last = history.groupby("series_id")["timestamp"].max()
    length = actuals.groupby("series_id")["timestamp"].nunique().max() // this.horizon
    if length == 1:
        return sorted(last.unique())
    step = pd.tseries.frequencies.to_offset(this.frequency)
    return [last.max() + night * this.horizon * step for night in range(length)]


def go_on(actuals: pd.DataFrame, nights: list[pd.Timestamp]) -> bool:
    """Whether later cutoffs see what came before them; where series end at different times, they do not go on."""
    return len(nights) > 1 and actuals.groupby("series_id")["timestamp"].min().nunique() == 1


def judged(this: Set, history: pd.DataFrame, actuals: pd.DataFrame, forecast: pd.DataFrame) -> dict[str, float]:
    """What forecasts of anybody are worth.

    Args:
        this: The set.
        history: What was known at the first cutoff: series_id, timestamp, value.
        actuals: What is judged, the same columns.
        forecast: Columns series_id, cutoff, step, timestamp and q0_1 to q0_9, in the units of `value`. A row counts
            where its cutoff is not before its series' history ends, and each actual for its first cutoff.

    Returns:
        mase, smape, wql and coverage_80.

    Raises:
        SystemExit: where an actual has no forecast.
    """
    pairs = actuals.merge(forecast, on=["series_id", "timestamp"], how="left", validate="one_to_many")
    last = history.groupby("series_id")["timestamp"].max()
    pairs = pairs[pairs["cutoff"] >= pairs["series_id"].map(last)]
    pairs = pairs.sort_values("cutoff").drop_duplicates(["series_id", "timestamp"], keep="first")
    if len(pairs) != len(actuals):
        raise SystemExit(f"{this.name}: {len(pairs)} forecasts for {len(actuals)} actuals; each needs exactly one.")
    pairs = pairs.sort_values(["series_id", "cutoff", "step"])
    first = pairs[["series_id", "cutoff"]].drop_duplicates()
    keys = list(zip(first["series_id"], first["cutoff"], strict=True))
    actual = pairs["value"].to_numpy().reshape(len(keys), this.horizon)
    quantiles = pairs[COLUMNS].to_numpy().reshape(*actual.shape, len(LEVELS))
    median = quantiles[:, :, len(LEVELS) // 2]
    scale = scales(this, pd.concat([history, actuals])[["series_id", "timestamp", "value"]], keys)
    found = metrics(actual, quantiles, LEVELS, scale)
    return {
        "mase": mase(actual, median, scale, len({series for series, _ in keys})),
        "smape": found["smape"],
        "wql": found["weighted_quantile_loss"],
        "coverage_80": found["coverage_80"],
    }


def metrics(actual: np.ndarray, quantiles: np.ndarray, levels: np.ndarray, scale: np.ndarray) -> dict[str, float]:
    """Every metric over all elements, by its name; see `evaluate_segments`."""
    everyone = {"all": np.ones(len(actual), bool)}
    scores = evaluate_segments(actual, quantiles, levels, scale, everyone)["all"]
    return {score.metric: score.value for score in scores if score.step == 0}


def mase(actual: np.ndarray, median: np.ndarray, scale: np.ndarray, series: int) -> float:
    """The mean over series of each series' scaled error over all its cutoffs, which are neighbouring rows."""
    actual, median = (np.divide(each, scale[:, None]).reshape(series, -1) for each in (actual, median))
    return metrics(actual, median[..., None], np.array([0.5]), np.ones(series))["mase"]


def scales(this: Set, known: pd.DataFrame, keys: list[tuple[str, pd.Timestamp]]) -> np.ndarray:
    """In-sample mean |y(t) - y(t - season)| of each (series, cutoff), from the history before the cutoff."""
    series = {name: rows.set_index("timestamp")["value"].sort_index() for name, rows in known.groupby("series_id")}
    step = pd.tseries.frequencies.to_offset(this.frequency)
    result = []
    for name, cutoff in keys:
        before = series[name].loc[:cutoff]
        values = before.reindex(pd.date_range(before.index[0], before.index[-1], freq=step)).to_numpy()
        result.append(np.nanmean(np.abs(values[this.season :] - values[: -this.season])))
    return np.array(result)
