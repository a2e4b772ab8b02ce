"""Panels made by hand or from a seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.network.plan import Plan
from models.panel.panel import Panel

MakePanel = Callable[..., Panel]


def panel_of(series: Mapping[str, Sequence[float] | npt.NDArray[Any]], **facts: Any) -> Panel:
    """A panel of series that all end at grid position 1000."""
    ids = sorted(series)
    values = [np.asarray(series[name], np.float32) for name in ids]
    settings = {"frequency": "D", "cutoff_index": 1_000, "season_lengths": (7,), "horizon": 7, **facts}
    return Panel(
        values=np.concatenate(values) if values else np.zeros(0, np.float32),
        offsets=np.concatenate([[0], np.cumsum([len(each) for each in values])]).astype(np.int64),
        series_ids=np.array(ids, dtype=str),
        **settings,
    )


def weekly_series(count: int, length: int, *, seed: int = 0, noise: float = 0.1) -> dict[str, npt.NDArray[np.float64]]:
    """Series with a weekly season of their own, a level of their own, and noise."""
    random = np.random.default_rng(seed)
    day = np.arange(length)
    series = {}
    for i in range(count):
        level = 10.0 * np.exp(random.normal())
        season = random.normal(size=7)
        values = level * (5 + season[day % 7] + noise * random.normal(size=length))
        series[f"s{i:03d}"] = values
    return series


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory) -> None:
    """What JAX has compiled for one test it finds again for the next; most of them train the same network."""
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        # A folder for each worker: JAX writes to it without a lock.
        jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(scope="session")
def keras_quantiles() -> Callable[..., npt.NDArray[np.float64]]:
    """What Keras's network forecasts, see `keras_reference.py`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        from keras_reference import keras_quantiles  # type: ignore[import-not-found]  # found by the path above
    return keras_quantiles


@pytest.fixture(scope="module")
def kept_graphs() -> Iterator[Any]:
    """Trainings of this module share what Keras lays out for them, see `kept_graphs.py`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        from kept_graphs import KeptGraphs  # type: ignore[import-not-found]  # found by the path above

        kept = KeptGraphs()
        patch.setattr("models.training.fit_member.built", kept.built)
        patch.setattr("models.training.loop.Objective", kept.objective)
        yield kept


# A window of four weeks that forecasts a week, and a training of a few seconds.
WEEKS = Plan(
    segment=7,
    recurrent_steps=4,
    horizon=7,
    seasons=(7,),
    cycles=(3,),
    origins=4,
    level_window=7,
    scale_window=14,
    quantile_levels=(0.05, 0.5, 0.9),
    layers=(("gru", 8),),
    head=None,
    head_units=32,
    tokens=None,
    calendar=True,
    residual=True,
    smoothing=(0.3,),
    profile_seasons=(7,),
    profile_weights=(0.2,),
    error_power=4.0,
    mix_by_state=True,
    error_units=True,
    series_embedding=0,
    static_embedding=0,
    dropout=0.0,
    half_life=0.0,
    max_steps=100,
    batch_size=64,
    optimizer="adam",
    learning_rate=2e-3,
    lower_bound=None,
)


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., Plan]:
    """Facts of the plan by keyword; the others are those of a small network for weekly series."""
    return lambda **facts: replace(WEEKS, **facts)


@pytest.fixture(scope="session")
def make_panel() -> MakePanel:
    """Series id to values, oldest first; facts of the panel by keyword."""
    return panel_of


@pytest.fixture(scope="session")
def make_weekly() -> Callable[..., dict[str, npt.NDArray[np.float64]]]:
    """Count and length to series with a weekly season."""
    return weekly_series


@pytest.fixture(scope="session")
def weekly_panel() -> Panel:
    """Twenty series of 140 days that a network learns in seconds."""
    return panel_of(weekly_series(20, 140), horizon=10)


@pytest.fixture(scope="session")
def make_panel_of_lists() -> Callable[[Sequence[Sequence[float]]], Panel]:
    """Values of each series, named by their place."""
    return lambda arrays: panel_of({f"s{i}": array for i, array in enumerate(arrays)})
