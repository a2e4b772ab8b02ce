"""The loss of an evaluation, with numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.evaluation_loss import EvaluationLoss, losses_of
from models.evaluation.past_night import PastNight
from models.evaluation.point_errors import ERROR_CAP, ErrorSums, PointErrors
from models.evaluation.scales import scales_at, usable_scale
from models.evaluation.segments import segments_of
from models.evaluation.special_days import SpecialDayCriteria, SpecialDays
from models.panel.panel import Panel


def sums_of(nights: list[PastNight], scales, after_index: int, special_days: SpecialDays) -> ErrorSums:
    sums = ErrorSums.zeros(np.shape(scales)[1])
    for night, scale in zip(nights, scales, strict=True):
        errors = PointErrors.of(night, usable_scale(scale, night.actual), special_days, after_index)
        sums.add(errors, errors.series)
    return sums


@pytest.fixture
def evaluation_losses(panel_of):
    """The losses of nights without special days."""

    def losses(nights: list[PastNight], scales, after_index: int, segments) -> dict[str, EvaluationLoss]:
        panel: Panel = panel_of(*[[0.0]] * len(segments["all"]))
        sums = sums_of(nights, scales, after_index, SpecialDays(panel, SpecialDayCriteria()))
        return losses_of(sums, segments, None)

    return losses


def test_a_series_in_another_unit_counts_for_no_more_than_a_bad_one(panel_of, night_of, evaluation_losses):
    panel = panel_of([1, 2, 1, 2, 1], [1, 2, 1, 2, 1000])
    night = night_of(panel, 99, [(0, 1, [1, 2, 3], 2), (1, 1, [1, 2, 3], 2)])
    loss = evaluation_losses([night], np.ones((1, 2)), 99, {"all": np.ones(2, bool)})["all"]
    assert (loss.loss, loss.baseline_loss) == pytest.approx(((0.7 / 3 + ERROR_CAP) / 2, (0.5 + ERROR_CAP) / 2))
    assert loss.bias == (1 - ERROR_CAP) / 2


def test_only_actuals_that_arrived_since_the_evaluation_before_enter_the_loss(panel_of, night_of, evaluation_losses):
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


def test_every_night_that_forecast_a_point_counts(panel_of, night_of, evaluation_losses):
    panel = panel_of([0, 1, 2, 3, 10, 20])
    nights = [night_of(panel, 98, [(0, 2, [10, 20, 30], 1)]), night_of(panel, 99, [(0, 1, [10, 20, 30], 1)])]
    losses = evaluation_losses(nights, scales_at(panel, 2, [98, 99]), 99, {"all": np.ones(1, bool)})
    assert losses["all"].n == 2
    assert losses["all"].coverage == 1.0


def test_points_on_special_days_have_a_loss_of_their_own(panel_of, night_of, evaluation_losses):
    known = np.zeros((2 * (6 + 3), 1), np.float32)
    # The newest day of the first series.
    known[5] = 1
    panel = replace(
        panel_of([0, 1, 2, 3, 10, 20], [0, 1, 2, 3, 10, 20]), known_future=known, known_future_names=("promotion",)
    )
    rows = [(0, 1, [10, 15, 18], 10), (1, 1, [10, 20, 30], 12)]
    night, segments = night_of(panel, 99, rows), {"all": np.ones(2, bool)}
    criteria = SpecialDayCriteria.choose(panel)
    sums = sums_of([night], np.full((1, 2), 2.0), 99, SpecialDays(panel, criteria))
    loss = losses_of(sums, segments, criteria.text)["all"]
    assert (loss.n, loss.special_n, loss.special_definition) == (2, 1, criteria.text)
    assert loss.special_loss == pytest.approx((1 + 2.5 + 1.8) / 3 / 2)
    assert loss.special_baseline_loss == pytest.approx((1 + 5 + 9) / 3 / 2)
    # The loss counts both points, as without special days.
    plain = evaluation_losses([night], np.full((1, 2), 2.0), 99, segments)["all"]
    assert (loss.loss, loss.baseline_loss, plain.special_n) == (plain.loss, plain.baseline_loss, None)


def test_each_segment_has_its_own_loss_and_one_without_points_has_none(panel_of, night_of, evaluation_losses):
    panel = panel_of([0, 1, 2, 3], [9, 9, 9, 9], static={"region": np.array(["north", "south"])})
    night = night_of(panel, 99, [(0, 1, [2, 3, 4], 1)])
    segments = segments_of(panel, ["region"])
    assert {name: mask.tolist() for name, mask in segments.items()} == {
        "all": [True, True],
        "region=north": [True, False],
        "region=south": [False, True],
    }
    losses = evaluation_losses([night], scales_at(panel, 2, [99]), 99, segments)
    # Some of their figures are NaN, which is not equal to itself.
    assert repr(losses["region=north"]) == repr(losses["all"])
    assert losses["region=south"].n == 0
    assert np.isnan(losses["region=south"].loss)


def test_without_past_nights_there_is_no_loss(panel_of, evaluation_losses):
    panel = panel_of([1, 2])
    assert evaluation_losses([], scales_at(panel, 2, []), 99, {"all": np.ones(1, bool)})["all"].n == 0


def test_without_a_symmetric_interval_there_is_no_coverage(panel_of, night_of, evaluation_losses):
    panel = panel_of([0, 1, 2, 3])
    night = night_of(panel, 99, [(0, 1, [1, 2, 3], 1)], levels=(0.1, 0.5, 0.8))
    assert np.isnan(
        evaluation_losses([night], scales_at(panel, 2, [99]), 99, {"all": np.ones(1, bool)})["all"].coverage
    )


def test_the_error_of_a_constant_series_is_in_units_of_its_own_size(panel_of, night_of, evaluation_losses):
    panel = panel_of([8, 8, 8, 8])
    night = night_of(panel, 99, [(0, 1, [6, 6, 6], 8)])
    assert evaluation_losses([night], scales_at(panel, 2, [99]), 99, {"all": np.ones(1, bool)})["all"].bias == -2 / 8
