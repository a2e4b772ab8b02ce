"""Speed beside neuralforecast's LSTM: at an equal network, and with each product's own defaults.

Equal network: two LSTM layers of 128, a context of 144 hours, a horizon of 48, nine levels, 128 windows a step, one
dense layer after the stack; float32 and Adam both. neuralforecast (`recurrent=False`, its default) has a loss of one
origin a window: its decoder reads the last 48 states, one for each step of the horizon, and `decoder_layers=1` makes
of it 128 x 9 weights at 48 places, as many multiplications as this product's 128 x 432 at one. This product trains
with a loss of several steps of a window by default; here it is told to take the last one alone, so that both
compute the same number of losses a window, and a step is the same work. Its steps per second include its validation,
after every 25th; neuralforecast does none by default. Both leave out the first 25, and series are short enough that
neuralforecast, which lays out every window of 32 series at each step, spends its time in the network.

Forecasts per second are series forecast in a second with the model and the series in memory, warm; the weights do not
matter to it, so training is cut short. `forecast_ratio_default` is of the nights' own source, and of each set too:
few series cost both products little but the call. Products take turns, each time in a fresh process with as many
threads, and medians are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.shared.judge import Set
from benchmarks.shared.peers import Peer, equal_network, measure, scored

HORIZON = 48
SERIES, HOURS = 256, 480
# Enough for the forecasts of an untrained network, which take as long as a trained one's.
FEW_STEPS = 25
# Of neuralforecast's training seconds; what this product needs for a better MASE is looked for from below.
SHARES = (0.025, 0.05, 0.1, 0.2, 0.5, 1.0)
RATES = {"train_steps": "steps_per_second", "forecast": "forecasts_per_second"}
THEIRS = "neuralforecast_lstm"


def equal(folder: Path, rounds: int, steps: int) -> dict[str, float | None]:
    """Both products at the equal network on made-up hourly series.

    Args:
        folder: Where the series are put.
        rounds: How often each product is run.
        steps: Of the optimizer; those after the 25th are counted, so more than 50.

    Returns:
        `train_steps_ratio_equal`, `forecast_ratio_equal`, and both products' own rates.
    """
    history = folder / "hours.parquet"
    hourly(SERIES, HOURS).to_parquet(history, index=False)
    network = equal_network(HORIZON)
    network["training"] |= {"patience": steps, "time_limit": 1e6}
    own = Peer("nightcast_library", {**network, "season_lengths": [24], "origins": 1})
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
    turns = take_turns(own, theirs, rounds, history=history, frequency="h", horizon=HORIZON, steps=steps)
    return compared("equal", turns, RATES)


def default_forecasts(history: Path, frequency: str, horizon: int, rounds: int) -> dict[str, float | None]:
    """`forecast_ratio_default` on some history, and both products' own rates."""
    turns = take_turns(
        Peer("nightcast_library"), Peer(THEIRS), rounds,
        history=history, frequency=frequency, horizon=horizon, steps=FEW_STEPS,
    )  # fmt: skip
    return compared("default", turns, {"forecast": RATES["forecast"]})


def time_to_better(this: Set, data: Path, steps: int | None) -> dict[str, float | None]:
    """How many times sooner this product's default has trained to a better MASE than neuralforecast's default has.

    Args:
        this: The set.
        data: The set's folder.
        steps: A cap on neuralforecast's steps, to try things out; None for its default.

    Returns:
        `<set>.time_to_better_ratio`, None where no training got better; and what both reached in which time.
    """
    theirs = scored(Peer(THEIRS), this, data, 0, steps)
    tried = list(until_better(theirs["mase"], trainings(this, data, theirs["train_seconds"])))
    seconds, mase = tried[-1]
    figures = {
        "time_to_better_ratio": ratio_to_better(theirs["train_seconds"], theirs["mase"], tried),
        "neuralforecast_default_train_seconds": theirs["train_seconds"],
        "neuralforecast_default_mase": theirs["mase"],
        "better_train_seconds": seconds,
        "better_mase": mase,
    }
    return of_set(this, figures)


def of_set(this: Set, figures: Mapping[str, float | None]) -> dict[str, float | None]:
    """Figures by names that begin with the set's."""
    return {f"{this.name}.{name}": value for name, value in figures.items()}


def trainings(this: Set, data: Path, longest: float) -> Iterator[tuple[float, float]]:
    """Whole trainings of this product with ever more time, each as (seconds, MASE)."""
    for share in SHARES:
        limit = share * longest
        run = scored(Peer("nightcast_library", {"training": {"time_limit": limit}}), this, data, 0, None)
        yield run["train_seconds"], run["mase"]
        if run["train_seconds"] < limit / 2:
            # It ended by itself, and would again.
            return


def until_better(mase: float, tried: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Pairs (seconds, MASE) up to the first one whose MASE is below `mase`."""
    for seconds, reached in tried:
        yield seconds, reached
        if reached < mase:
            return


def ratio_to_better(seconds: float, mase: float, tried: Sequence[tuple[float, float]]) -> float | None:
    """`seconds` over those of the first of the pairs (seconds, MASE) with a MASE below `mase`; None without one."""
    better = [spent for spent, reached in tried if reached < mase]
    return seconds / better[0] if better else None


def take_turns(own: Peer, theirs: Peer, rounds: int, **asked: Any) -> list[tuple[Mapping[str, Any], ...]]:
    """Answers (own, theirs) of each round; a machine that slows down for a while slows both."""
    return [tuple(measure(each, **asked).answer for each in (own, theirs)) for _ in range(rounds)]


def compared(
    kind: str, turns: Sequence[tuple[Mapping[str, Any], ...]], rates: Mapping[str, str]
) -> dict[str, float | None]:
    """Medians over turns, and own over theirs.

    Args:
        kind: `equal` or `default`.
        turns: Answers (own, theirs).
        rates: Name in the figure to name in the answer.

    Returns:
        `<name>_ratio_<kind>`, `<kind>_<answer>` and `neuralforecast_<kind>_<answer>` for each rate; None where an
        answer holds none.
    """
    figures: dict[str, float | None] = {}
    for name, key in rates.items():
        own, theirs = (_median([turn[side][key] for turn in turns]) for side in (0, 1))
        figures[f"{name}_ratio_{kind}"] = None if own is None or theirs is None else own / theirs
        figures |= {f"{kind}_{key}": own, f"neuralforecast_{kind}_{key}": theirs}
    return figures


def worst(figures: Mapping[str, float | None], name: str) -> float | None:
    """The lowest of a figure over sets; None where a set has none."""
    found = [value for key, value in figures.items() if key.endswith(f".{name}")]
    return None if None in found or not found else min(value for value in found if value is not None)


def hourly(series: int, hours: int) -> pd.DataFrame:
    """Made-up hourly series with a day and noise: series_id, timestamp, value."""
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
