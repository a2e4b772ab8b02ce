"""Past forecasts beside what came true, with numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.night_scores import (
    MOST,
    EvaluationLoss,
    PastNight,
    newly_realised,
    place_night,
    scales_at,
    segments_of,
)
from models.evaluation.night_scores import evaluation_losses as losses_of_points
from models.evaluation.special_days import KindsOfDays, UnlikeDays
from models.metrics.seasonal_error import seasonal_error
from models.panel.panel import Panel

NAN = float("nan")


def panel_of(*series: list[float], static: dict | None = None) -> Panel:
    lengths = [len(each) for each in series]
    return Panel(
        values=np.concatenate([np.array(each, np.float32) for each in series]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        series_ids=np.array([f"s{i}" for i in range(len(series))]),
        frequency="D",
        cutoff_index=100,
        season_lengths=(2,),
        horizon=3,
        static=static or {},
    )


def night_of(panel: Panel, cutoff_index: int, rows: list[tuple], levels=(0.1, 0.5, 0.9)):
    """Rows of series, step, quantiles (the middle one is the median) and baseline."""
    quantiles = np.array([row[2] for row in rows], float)
    return place_night(
        panel,
        cutoff_index,
        horizon=3,
        series=np.array([row[0] for row in rows]),
        step=np.array([row[1] for row in rows]),
        quantile_levels=list(levels),
        quantiles=quantiles,
        median=quantiles[:, 1],
        baseline=np.array([row[3] for row in rows], float),
    )


def evaluation_losses(nights: list[PastNight], scales, after_index: int, segments) -> dict[str, EvaluationLoss]:
    points = [
        newly_realised(night, scale, after_index, UnlikeDays(panel_of(*[[0.0]] * len(scale)), KindsOfDays()))
        for night, scale in zip(nights, scales, strict=True)
    ]
    return losses_of_points(points, segments, KindsOfDays())


def test_a_forecast_is_laid_beside_the_actual_of_its_own_step():
    panel = panel_of([1, 2, 3, 10, 20], [5, NAN, 7])
    night = night_of(panel, 98, [(0, 1, [9, 10, 11], 3), (0, 2, [9, 21, 30], 2), (1, 1, [0, 1, 2], NAN)])
    np.testing.assert_array_equal(night.actual, [[10, 20, NAN], [NAN, NAN, NAN]])
    assert night.realised.tolist() == [[True, True, False], [False, False, False]]


def test_a_series_told_in_another_unit_counts_for_no_more_than_a_bad_one():
    panel = panel_of([1, 2, 1, 2, 1], [1, 2, 1, 2, 1000])
    night = night_of(panel, 99, [(0, 1, [1, 2, 3], 2), (1, 1, [1, 2, 3], 2)])
    loss = evaluation_losses([night], np.ones((1, 2)), 99, {"all": np.ones(2, bool)})["all"]
    assert (loss.loss, loss.baseline_loss) == pytest.approx(((0.7 / 3 + MOST) / 2, (0.5 + MOST) / 2))
    assert loss.bias == (1 - MOST) / 2


def test_a_series_that_is_gone_from_the_source_is_left_out():
    night = night_of(panel_of([1, 2]), 99, [(-1, 1, [1, 2, 3], 1), (0, 1, [0, 2, 4], 1)])
    assert night.realised.sum() == 1


def test_a_night_with_no_step_behind_it_has_no_actual():
    night = night_of(panel_of([1, 2, 3]), 100, [(0, 1, [1, 2, 3], 2)])
    assert np.isnan(night.actual).all()


def test_only_the_steps_that_came_true_since_the_evaluation_before_enter_the_loss():
    panel = panel_of([0, 1, 2, 3, 10, 20])
    night = night_of(panel, 98, [(0, 1, [9, 10, 11], 4), (0, 2, [10, 15, 18], 10)])
    [scale] = scales_at(panel, 2, [98])
    assert scale.tolist() == [2.0]  # |2 - 0|, |3 - 1|
    loss = evaluation_losses([night], scale[None], 99, {"all": np.ones(1, bool)})["all"]
    # Actual 20: levels 0.1, 0.5, 0.9 are 10, 5 and 2 too low: 0.1 * 10, 0.5 * 5, 0.9 * 2 = 1, 2.5, 1.8.
    assert loss.loss == pytest.approx((1 + 2.5 + 1.8) / 3 / 2)
    # The naive's 10 at all three levels: 0.1 * 10, 0.5 * 10, 0.9 * 10.
    assert loss.baseline_loss == pytest.approx((1 + 5 + 9) / 3 / 2)
    assert loss.bias == pytest.approx((15 - 20) / 2)
    assert loss.coverage == 0.0
    assert loss.n == 1


def test_every_night_that_forecast_a_point_counts():
    panel = panel_of([0, 1, 2, 3, 10, 20])
    nights = [night_of(panel, 98, [(0, 2, [10, 20, 30], 1)]), night_of(panel, 99, [(0, 1, [10, 20, 30], 1)])]
    losses = evaluation_losses(nights, scales_at(panel, 2, [98, 99]), 99, {"all": np.ones(1, bool)})
    assert losses["all"].n == 2
    assert losses["all"].coverage == 1.0


def test_points_that_are_unlike_what_the_naive_repeats_are_told_apart():
    known = np.zeros((2 * (6 + 3), 1), np.float32)
    # The newest day of the first series.
    known[5] = 1
    panel = replace(
        panel_of([0, 1, 2, 3, 10, 20], [0, 1, 2, 3, 10, 20]), known_future=known, known_future_names=("promotion",)
    )
    rows = [(0, 1, [10, 15, 18], 10), (1, 1, [10, 20, 30], 12)]
    night, everybody = night_of(panel, 99, rows), {"all": np.ones(2, bool)}
    kinds = KindsOfDays.of(panel)
    points = newly_realised(night, np.full(2, 2.0), 99, UnlikeDays(panel, kinds))
    loss = losses_of_points([points], everybody, kinds)["all"]
    assert (loss.n, loss.special_n, loss.special_definition) == (2, 1, kinds.text)
    assert loss.special_loss == pytest.approx((1 + 2.5 + 1.8) / 3 / 2)
    assert loss.special_baseline_loss == pytest.approx((1 + 5 + 9) / 3 / 2)
    # The loss is of both, as it always was.
    plain = evaluation_losses([night], np.full((1, 2), 2.0), 99, everybody)["all"]
    assert (loss.loss, loss.baseline_loss, plain.special_n) == (plain.loss, plain.baseline_loss, None)


def test_segments_are_judged_apart_and_one_without_points_has_no_loss():
    panel = panel_of([0, 1, 2, 3], [9, 9, 9, 9], static={"region": np.array(["north", "south"])})
    night = night_of(panel, 99, [(0, 1, [2, 3, 4], 1)])
    segments = segments_of(panel, ["region"])
    assert {name: mask.tolist() for name, mask in segments.items()} == {
        "all": [True, True],
        "region=north": [True, False],
        "region=south": [False, True],
    }
    losses = evaluation_losses([night], scales_at(panel, 2, [99]), 99, segments)
    # Two of their figures are NaN, which nothing equals.
    assert repr(losses["region=north"]) == repr(losses["all"])
    assert losses["region=south"].n == 0
    assert np.isnan(losses["region=south"].loss)


def test_without_past_nights_there_is_no_loss():
    panel = panel_of([1, 2])
    assert evaluation_losses([], scales_at(panel, 2, []), 99, {"all": np.ones(1, bool)})["all"].n == 0


def test_without_a_symmetric_interval_there_is_no_coverage():
    panel = panel_of([0, 1, 2, 3])
    night = night_of(panel, 99, [(0, 1, [1, 2, 3], 1)], levels=(0.1, 0.5, 0.8))
    assert np.isnan(
        evaluation_losses([night], scales_at(panel, 2, [99]), 99, {"all": np.ones(1, bool)})["all"].coverage
    )


@pytest.mark.parametrize("behind", [0, 1, 4, 9])
def test_a_scale_is_the_seasonal_error_of_what_the_night_could_see(behind):
    rng = np.random.default_rng(0)
    series = [rng.normal(size=n) for n in (30, 3, 11)]
    series[0][4:9] = NAN
    panel = panel_of(*[each.tolist() for each in series])
    seen = [each[: max(len(each) - behind, 0)].astype(np.float32) for each in series]
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in seen])])
    expected = seasonal_error(np.concatenate(seen), offsets, 2)
    np.testing.assert_allclose(scales_at(panel, 2, [100, 100 - behind])[1], expected, rtol=1e-6)


def test_a_huge_series_does_not_swallow_the_scale_of_the_next():
    panel = panel_of([1e30, -1e30, 3e30, 1e30], [1, 2, 3, 4])
    np.testing.assert_allclose(scales_at(panel, 2, [100])[0], [2e30, 2])


def test_a_constant_series_is_judged_by_its_own_size():
    panel = panel_of([8, 8, 8, 8])
    night = night_of(panel, 99, [(0, 1, [6, 6, 6], 8)])
    assert evaluation_losses([night], scales_at(panel, 2, [99]), 99, {"all": np.ones(1, bool)})["all"].bias == -2 / 8
