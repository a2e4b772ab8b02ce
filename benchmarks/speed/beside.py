"""Speed beside neuralforecast's LSTM: with an equal network, and with each product's defaults.

Equal network: two LSTM layers of 128, a context of 144 hours, a horizon of 48, nine levels, 128 windows in a batch, one
dense layer after the stack; both use float32 and Adam. neuralforecast (`recurrent=False`, its default) has one loss for
each window: its decoder reads the last 48 states, one for each step of the horizon. With `decoder_layers=1` that is
128 x 9 weights at 48 places, as many multiplications as this product's 128 x 432 at one place. By default this product
has a loss at several steps of a window; here it has one at the last step, so that a training step is the same work. Its
steps per second include a validation after every 25th step; neuralforecast validates nothing by default. Both rates
leave out the first 25 steps. The series are short, so that neuralforecast spends its time in the network: at each step
it lays out every window of 32 series.

Forecasts per second are series forecast in a second, with the model and the series in memory, after a first call. The
weights do not matter, so training is short. `forecast_ratio_default` is measured on the source of the nights and on
each data set; with few series, most of the time is the call itself. The products take turns, each time in a fresh
process with the same number of threads, and medians are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.shared.data_sets import LEVELS, DataSet
from benchmarks.shared.peers import LIBRARY, Peer, equal_network, run_worker, score_peer
from benchmarks.workers.protocol import Request

HORIZON = 48
SERIES, HOURS = 256, 480
# An untrained network forecasts as fast as a trained one.
FEW_STEPS = 25
SHARES = (0.025, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Time limits of this product's trainings as shares of neuralforecast's training time, tried in this order."""

RATES = {"train_steps": "steps_per_second", "forecast": "forecasts_per_second"}
THEIRS = "neuralforecast_lstm"
Answers = tuple[Mapping[str, Any], Mapping[str, Any]]
Figures = dict[str, float | None]


def equal(folder: Path, rounds: int, steps: int) -> Figures:
    """Both products with the equal network on simulated hourly series.

    Args:
        folder: Where the series are written.
        rounds: How often each product runs.
        steps: Training steps; more than 50, since the first 25 do not count.

    Returns:
        `train_steps_ratio_equal`, `forecast_ratio_equal`, and the rates of both products.
    """
    history = folder / "hours.parquet"
    hourly(SERIES, HOURS).to_parquet(history, index=False)
    network = equal_network(HORIZON)
    network["training"] |= {"patience": steps, "time_limit": 1e6}
    ours = Peer(LIBRARY, {**network, "season_lengths": [24], "origins": 1})
    theirs = Peer(
        THEIRS,
        {
            "encoder_n_layers": 2,
            "encoder_hidden_size": 128,
            "decoder_layers": 1,
            "input_size": 3 * HORIZON,
            "windows_batch_size": 128,
        },
    )
    request = Request(str(history), "h", HORIZON, LEVELS.tolist(), steps=steps)
    return compare("equal", take_turns(ours, theirs, rounds, request), RATES)


def default_forecasts(history: Path, frequency: str, horizon: int, rounds: int) -> Figures:
    """`forecast_ratio_default` on some history, and the rates of both products."""
    request = Request(str(history), frequency, horizon, LEVELS.tolist(), steps=FEW_STEPS)
    turns = take_turns(Peer(LIBRARY), Peer(THEIRS), rounds, request)
    return compare("default", turns, {"forecast": RATES["forecast"]})


def time_to_better(data_set: DataSet, folder: Path, steps: int | None) -> Figures:
    """How many times sooner this product's default reaches a better MASE than neuralforecast's default.

    Args:
        data_set: The data set.
        folder: Where the data set is.
        steps: An upper limit of neuralforecast's steps, to try things out; None for its default.

    Returns:
        `<data set>.time_to_better_ratio`, None if no training was better; and the MASE and time of both.
    """
    theirs = score_peer(Peer(THEIRS), data_set, folder, 0, steps)
    tried = list(until_better(theirs["mase"], trainings(data_set, folder, theirs["train_seconds"])))
    seconds, mase = tried[-1]
    figures = {
        "time_to_better_ratio": ratio_to_better(theirs["train_seconds"], theirs["mase"], tried),
        "neuralforecast_default_train_seconds": theirs["train_seconds"],
        "neuralforecast_default_mase": theirs["mase"],
        "better_train_seconds": seconds,
        "better_mase": mase,
    }
    return prefixed(data_set, figures)


def prefixed(data_set: DataSet, figures: Mapping[str, float | None]) -> Figures:
    """Figures with the name of the data set before their own."""
    return {f"{data_set.name}.{name}": value for name, value in figures.items()}


def trainings(data_set: DataSet, folder: Path, longest: float) -> Iterator[tuple[float, float]]:
    """Trainings of this product with increasing time limits, each as (seconds, MASE)."""
    for share in SHARES:
        limit = share * longest
        run = score_peer(Peer(LIBRARY, {"training": {"time_limit": limit}}), data_set, folder, 0, None)
        yield run["train_seconds"], run["mase"]
        if run["train_seconds"] < limit / 2:
            # It ended before its limit; a higher limit changes nothing.
            return


def until_better(mase: float, tried: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Pairs (seconds, MASE) up to the first whose MASE is below `mase`."""
    for seconds, reached in tried:
        yield seconds, reached
        if reached < mase:
            return


def ratio_to_better(seconds: float, mase: float, tried: Sequence[tuple[float, float]]) -> float | None:
    """`seconds` over those of the first pair (seconds, MASE) with a MASE below `mase`; None without such a pair."""
    better = [spent for spent, reached in tried if reached < mase]
    return seconds / better[0] if better else None


def take_turns(ours: Peer, theirs: Peer, rounds: int, request: Request) -> list[Answers]:
    """Answers (ours, theirs) of each round; a machine that slows down for a while slows both."""
    return [(run_worker(ours, request).answer, run_worker(theirs, request).answer) for _ in range(rounds)]


def compare(kind: str, turns: Sequence[Answers], rates: Mapping[str, str]) -> Figures:
    """Medians over rounds, and ours over theirs.

    Args:
        kind: `equal` or `default`.
        turns: Answers (ours, theirs).
        rates: Name in the figure to name in the answer.

    Returns:
        `<name>_ratio_<kind>`, `<kind>_<answer>` and `neuralforecast_<kind>_<answer>` for each rate; None if an
        answer lacks the rate.
    """
    figures: Figures = {}
    for name, key in rates.items():
        ours, theirs = (_median([turn[side][key] for turn in turns]) for side in (0, 1))
        figures[f"{name}_ratio_{kind}"] = None if ours is None or theirs is None else ours / theirs
        figures |= {f"{kind}_{key}": ours, f"neuralforecast_{kind}_{key}": theirs}
    return figures


def worst(figures: Mapping[str, float | None], name: str) -> float | None:
    """The lowest value of a figure over data sets; None if a data set lacks it."""
    found = [value for key, value in figures.items() if key.endswith(f".{name}")]
    return None if None in found or not found else min(value for value in found if value is not None)


def hourly(series: int, hours: int) -> pd.DataFrame:
    """Simulated hourly series with a daily season and noise: series_id, timestamp, value."""
    random = np.random.default_rng(0)
    day = np.sin(2 * np.pi * np.arange(hours) / 24 + random.uniform(0, 6, size=(series, 1)))
    values = np.exp(random.normal(3, 1, size=(series, 1))) * (1.5 + day + 0.2 * random.normal(size=(series, hours)))
    return pd.DataFrame(
        {
            "series_id": np.repeat([f"series-{number:04}" for number in range(series)], hours),
            "timestamp": np.tile(pd.date_range("2025-01-01", periods=hours, freq="h"), series),
            "value": values.ravel(),
        }
    )


def _median(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.median(numbers)) if len(numbers) == len(values) else None
