"""Scores of forecasts on a data set, whoever made them.

- MASE: for each series, the mean of |error| / in-sample mean |y(t) - y(t - season)| over all its cutoffs, each with
  the history before it; then the mean over series.
- wQL: 2 * sum of pinball losses / sum of |actual| over all points, the mean over the levels 0.1 to 0.9.
- sMAPE: the mean of 2 |error| / (|actual| + |forecast|) over all points.
- coverage_80: the share of observed points between the levels 0.1 and 0.9.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.shared.data_sets import COLUMNS, LEVELS, DataSet
from models.metrics.evaluate import evaluate_segments
from models.metrics.naive_quantiles import naive_quantiles


def score(
    data_set: DataSet,
    history: pd.DataFrame,
    actuals: pd.DataFrame,
    forecast: pd.DataFrame,
    naive: str | None = None,
) -> dict[str, float]:
    """The scores of forecasts.

    Args:
        data_set: What was forecast.
        history: What was known at the first cutoff: series_id, timestamp, value.
        actuals: What came after it, in the same columns.
        forecast: Columns series_id, cutoff, step, timestamp and q0_1 to q0_9, in the units of `value`. A row counts
            if its series ends at or before its cutoff; each actual counts once, for its earliest cutoff.
        naive: The column of the seasonal naive, to score it with its quantiles in place of the forecast's.

    Returns:
        mase, smape, wql and coverage_80.

    Raises:
        SystemExit: an actual has no forecast.
    """
    pairs = actuals.merge(forecast, on=["series_id", "timestamp"], how="left", validate="one_to_many")
    last = history.groupby("series_id")["timestamp"].max()
    pairs = pairs[pairs["cutoff"] >= pairs["series_id"].map(last)]
    pairs = pairs.sort_values("cutoff").drop_duplicates(["series_id", "timestamp"], keep="first")
    if len(pairs) != len(actuals):
        raise SystemExit(f"{data_set.name}: {len(pairs)} forecasts for {len(actuals)} actuals; each needs exactly one.")
    pairs = pairs.sort_values(["series_id", "cutoff", "step"])
    first = pairs[["series_id", "cutoff"]].drop_duplicates()
    keys = list(zip(first["series_id"], first["cutoff"], strict=True))
    actual = pairs["value"].to_numpy().reshape(len(keys), data_set.horizon)
    quantiles = pairs[COLUMNS].to_numpy().reshape(*actual.shape, len(LEVELS))
    median = quantiles[:, :, len(LEVELS) // 2]
    scale = scales(data_set, pd.concat([history, actuals])[["series_id", "timestamp", "value"]], keys)
    if naive:
        point = pairs[naive].to_numpy().reshape(actual.shape)
        median, quantiles = point, naive_quantiles(point, LEVELS, scale, data_set.season_length)
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


def scales(data_set: DataSet, known: pd.DataFrame, keys: list[tuple[str, pd.Timestamp]]) -> np.ndarray:
    """In-sample mean |y(t) - y(t - season)| of each (series, cutoff), from the history before the cutoff."""
    series = {name: rows.set_index("timestamp")["value"].sort_index() for name, rows in known.groupby("series_id")}
    step = pd.tseries.frequencies.to_offset(data_set.frequency)
    season = data_set.season_length
    result = []
    for name, cutoff in keys:
        before = series[name].loc[:cutoff]
        values = before.reindex(pd.date_range(before.index[0], before.index[-1], freq=step)).to_numpy()
        result.append(np.nanmean(np.abs(values[season:] - values[:-season])))
    return np.array(result)
