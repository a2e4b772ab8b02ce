"""The fallback, on series small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from models.baselines.fallback import Fallback, fallback
from models.panel.panel import Panel
from models.panel.shards import shards

GAP = np.nan
LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


def panel_of(*series: Sequence[float] | npt.NDArray[Any], season_length: int = 3) -> Panel:
    return Panel(
        values=np.concatenate([np.asarray(one, np.float32) for one in series]).astype(np.float32),
        offsets=np.cumsum([0, *map(len, series)]).astype(np.int64),
        series_ids=np.array([f"s{i:03}" for i in range(len(series))]),
        frequency="D",
        cutoff_index=1_000,
        season_lengths=(season_length,),
        horizon=4,
    )


def test_quantiles_lie_by_the_seasonal_differences_around_the_naive_and_widen_by_season() -> None:
    # Absolute seasonal differences 1, 2 and 3: the middle one is the quantile of half of them.
    panel = panel_of([10, 20, 30, 11, 22, 33])

    quantiles, mean = fallback(panel, 4, [0.25, 0.5, 0.75])

    np.testing.assert_allclose(mean, [[11, 22, 33, 11]])
    np.testing.assert_allclose(quantiles[0, :, 1], [11, 22, 33, 11])
    np.testing.assert_allclose(quantiles[0, :, 2] - quantiles[0, :, 1], [2, 2, 2, 2 * np.sqrt(2)])
    np.testing.assert_allclose(quantiles[0, :, 1] - quantiles[0, :, 0], [2, 2, 2, 2 * np.sqrt(2)])


def test_the_spread_looks_back_200_steps_or_8_seasons_whichever_is_more() -> None:
    for season_length, recent in ((3, 200), (40, 320)):
        for place, distance in ((recent + season_length, 1), (recent + season_length - 1, 50)):
            # Each season is 1 more than the one before, but for one value.
            values = np.arange(800) // season_length * 1.0
            values[-1 - place] -= 49

            quantiles, _ = fallback(panel_of(values, season_length=season_length), 1, [0.001, 0.5, 0.999])

            np.testing.assert_allclose(quantiles[0, 0, 2] - quantiles[0, 0, 1], distance)


def test_a_series_without_seasons_takes_its_steps() -> None:
    quantiles, _ = fallback(panel_of([5, 7], season_length=7), 4, [0.25, 0.5, 0.75])

    np.testing.assert_allclose(quantiles[0, :, 2] - quantiles[0, :, 1], 2 * np.sqrt([1, 2, 3, 4]))


def test_a_single_value_is_as_uncertain_as_the_others_are_for_their_size() -> None:
    others = [[10, 20, 30, 11, 22, 33], [100, 200, 300, 110, 220, 330]]

    quantiles, _ = fallback(panel_of([1000], *others), 1, [0.25, 0.5, 0.75])

    # The others' season is 1/2, 1, 3/2 of its mean, so 1000 is followed by a third. Their distances are 2 for 11
    # and 20 for 110.
    np.testing.assert_allclose(quantiles[0, 0], (1 + np.array([-1, 0, 1]) * 2 / 11) * 1000 / 3)


def grouped(panel: Panel, *regions: str) -> Panel:
    return replace(panel, static={"region": np.array(regions), "kind": np.array(["x"] * len(regions))})


def test_a_short_series_takes_the_season_of_its_group_scaled_to_what_is_known_of_it() -> None:
    weeks, ends = [1, 2, 3] * 3, [30, 20, 10] * 3
    panel = grouped(panel_of(weeks, ends, [60, 90], [60, 90], [8]), "north", "south", "north", "south", "east")

    _, mean = fallback(panel, 4, [0.5])

    # The season of the north is 1/2, 1, 3/2: 60 and 90 lie at its second and third place.
    np.testing.assert_allclose(mean[2], [30, 60, 90, 30])
    # That of the south is 3/2, 1, 1/2: 150 over 3/2 is a mean of 100.
    np.testing.assert_allclose(mean[3], [150, 60, 90, 150])
    # The east has none, so the panel's counts: 1, 1, 1.
    np.testing.assert_allclose(mean[4], [8, 8, 8, 8])


def test_where_the_group_gives_no_scale_the_last_value_is_repeated() -> None:
    # The whole series is 0 where the short one has its only value.
    _, mean = fallback(panel_of([4, 2, 0] * 2, [7]), 2, [0.5])

    np.testing.assert_allclose(mean[1], [7, 7])


def test_a_series_never_observed_gets_the_quantiles_of_its_group_and_without_one_those_of_the_panel() -> None:
    series: list[list[float]] = [[1] * 9, [3] * 9, [50] * 9, [GAP], [], [GAP]]
    panel = grouped(panel_of(*series), "north", "north", "south", "north", "south", "east")
    levels = [0.25, 0.5, 0.75]

    quantiles, mean = fallback(panel, 2, levels)

    np.testing.assert_allclose(quantiles[3], [[1.5, 2, 2.5]] * 2)
    np.testing.assert_allclose(quantiles[4], np.full((2, 3), 50))
    np.testing.assert_allclose(quantiles[5], [np.quantile([1, 3, 50], levels)] * 2)
    np.testing.assert_allclose(mean[3:, 0], [2, 50, 3])


def test_a_series_never_observed_gets_the_quantiles_of_the_others() -> None:
    levels = [0.05, 0.5, 0.95]

    quantiles, mean = fallback(panel_of([GAP, GAP], [], [1] * 9, [2] * 9, [6] * 9), 2, levels)

    np.testing.assert_allclose(quantiles[:2], np.broadcast_to(np.quantile([1, 2, 6], levels), (2, 2, 3)))
    np.testing.assert_allclose(mean[:2], 2)


def test_where_no_series_was_ever_observed_the_forecast_is_zero() -> None:
    quantiles, mean = fallback(panel_of([GAP], []), 2, LEVELS)

    assert not quantiles.any()
    assert not mean.any()


def test_all_zero_series_are_forecast_zero() -> None:
    quantiles, mean = fallback(panel_of([0] * 20, [0], [3, 1, 4, 1, 5, 9, 2, 6]), 5, LEVELS, lower_bound=0)

    assert not quantiles[:2].any()
    assert not mean[:2].any()


HUGE = float(np.float32(1e30))
NUMBERS = st.one_of(st.just(GAP), st.floats(-HUGE, HUGE, width=32), st.integers(0, 3).map(float))


@given(
    st.lists(st.lists(NUMBERS, max_size=15), min_size=1, max_size=5),
    st.integers(1, 6),
    st.integers(1, 8),
    st.sampled_from([(None, None), (0.0, None), (0.0, 2.0), (None, -5.0)]),
)
def test_the_fallback_of_any_series_is_whole_ordered_and_inside_its_bounds(
    series: list[list[float]], season_length: int, horizon: int, bounds: tuple[float | None, float | None]
) -> None:
    quantiles, mean = fallback(panel_of(*series, season_length=season_length), horizon, LEVELS, *bounds)

    assert quantiles.shape == (len(series), horizon, len(LEVELS))
    assert mean.shape == (len(series), horizon)
    assert np.isfinite(quantiles).all()
    assert np.isfinite(mean).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    for forecast in (quantiles, mean):
        assert bounds[0] is None or forecast.min() >= bounds[0]
        assert bounds[1] is None or forecast.max() <= bounds[1]
    np.testing.assert_array_equal(mean, quantiles[..., 2])


def test_the_quantiles_of_noise_around_a_season_hold_what_they_promise() -> None:
    random = np.random.default_rng(3)
    season = np.tile([0, 50, 100, 20, 70, 10, 90], 60)
    noisy = season + random.normal(0, 5, (200, len(season)))
    past, future = noisy[:, :-7], noisy[:, -7:]

    quantiles, _ = fallback(panel_of(*past, season_length=7), 7, LEVELS)

    below = (future[..., None] <= quantiles).mean(axis=(0, 1))
    np.testing.assert_allclose(below, LEVELS, atol=0.02)


@given(
    st.lists(st.tuples(st.lists(NUMBERS, max_size=15), st.sampled_from(["north", "south"])), min_size=1, max_size=8),
    st.integers(1, 6),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_a_fallback_in_shards_is_to_the_last_bit_that_of_the_whole_panel(
    series: list[tuple[list[float], str]], season_length: int, horizon: int, size: int
) -> None:
    values, regions = zip(*series, strict=True)
    panel = grouped(panel_of(*values, season_length=season_length), *regions)
    whole = Fallback.learn(panel, horizon, LEVELS, 0.0)

    parts = [whole.of(part).forecast(panel.part(part)) for part in shards(len(panel), size)]

    for number, expected in enumerate(fallback(panel, horizon, LEVELS, 0.0)):
        np.testing.assert_array_equal(np.concatenate([part[number] for part in parts]), expected)
