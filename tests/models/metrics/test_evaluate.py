"""Metrics against scikit-learn, utilsforecast and numbers worked by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics

from models.metrics.evaluate import Score, evaluate_segments
from models.metrics.mean_losses import mean_losses
from models.metrics.seasonal_error import seasonal_error
from models.metrics.statistics import as_quantiles, pinball_of_each

with warnings.catch_warnings():
    # Its docstrings hold escapes that Python remarks upon when it first compiles them.
    warnings.simplefilter("ignore")
    from utilsforecast import losses

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
SEASON = 4
POINT_METRICS = "mae", "rmse", "wape", "smape", "mase", "bias"
Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture
def case() -> Case:
    """Actuals (3 series, 5 steps, some not observed), quantiles, baseline, histories and their offsets."""
    random = np.random.default_rng(7)
    actual = random.gamma(2, 10, (3, 5))
    actual[0, 1] = actual[2, 3] = actual[2, 4] = np.nan
    quantiles = np.sort(random.gamma(2, 10, (3, 5, len(LEVELS))), axis=-1)
    baseline = random.gamma(2, 10, (3, 5))
    offsets = np.array([0, 20, 50, 62])
    return actual, quantiles, baseline, random.gamma(2, 10, 62), offsets


def frame(actual: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """The long form that utilsforecast reads, observed rows only."""
    series, step = np.indices(actual.shape)
    long = pd.DataFrame({"unique_id": series.ravel(), "ds": step.ravel(), "y": actual.ravel()})
    return long.assign(**{name: column.ravel() for name, column in columns.items()}).dropna()


def evaluate(
    actual: np.ndarray,
    quantiles: np.ndarray,
    quantile_levels: np.ndarray,
    scale: np.ndarray,
    baseline: np.ndarray | None = None,
) -> list[Score]:
    """The scores of one segment that holds every series."""
    everyone = {"all": np.ones(len(actual), bool)}
    naive = None if baseline is None else as_quantiles(baseline, quantile_levels)
    return evaluate_segments(actual, quantiles, quantile_levels, scale, everyone, naive)["all"]


def by_metric(scores: list[Score], step: int = 0) -> dict[str, Score]:
    return {score.metric: score for score in scores if score.step == step}


def of_points(actual: np.ndarray, predicted: np.ndarray, scale: np.ndarray | None = None) -> dict[str, float]:
    """Every metric of a point forecast over all steps."""
    scores = evaluate(actual, predicted[..., None], np.array([0.5]), np.ones(len(actual)) if scale is None else scale)
    return {name: score.value for name, score in by_metric(scores).items()}


def of_quantiles(
    actual: np.ndarray, quantiles: np.ndarray, levels: np.ndarray = LEVELS, scale: np.ndarray | None = None
) -> dict[str, float]:
    """Every metric of a forecast of quantiles over all steps."""
    scores = evaluate(actual, quantiles, levels, np.ones(len(actual)) if scale is None else scale)
    return {name: score.value for name, score in by_metric(scores).items()}


@pytest.mark.parametrize(
    ("metric", "theirs"),
    [
        ("mae", sklearn.metrics.mean_absolute_error),
        ("rmse", sklearn.metrics.root_mean_squared_error),
        ("wape", lambda y, p: sklearn.metrics.mean_absolute_error(y, p) / y.mean()),
        ("bias", lambda y, p: p.sum() / y.sum() - 1),
    ],
)
def test_point_metrics_agree_with_scikit_learn(metric: str, theirs: Callable[..., float], case: Case) -> None:
    actual, _, predicted, *_ = case
    seen = ~np.isnan(actual)

    assert of_points(actual, predicted)[metric] == pytest.approx(theirs(actual[seen], predicted[seen]), rel=1e-12)


def test_symmetric_mape_agrees_with_utilsforecast_up_to_its_factor_two(case: Case) -> None:
    actual, _, predicted, *_ = case
    # One series, since theirs is a mean of series' means and ours a mean of elements.
    theirs = losses.smape(frame(actual[:1], model=predicted[:1]), ["model"])["model"]

    assert of_points(actual[:1], predicted[:1])["smape"] == pytest.approx(2 * theirs[0], rel=1e-12)


def test_mean_absolute_scaled_error_agrees_with_utilsforecast(case: Case) -> None:
    actual, _, predicted, values, offsets = case
    history = pd.DataFrame({"unique_id": np.repeat([0, 1, 2], np.diff(offsets)), "ds": np.arange(62), "y": values})
    theirs = losses.mase(frame(actual, model=predicted), ["model"], SEASON, train_df=history)["model"].mean()

    scale = seasonal_error(values, offsets, SEASON)

    assert of_points(actual, predicted, scale)["mase"] == pytest.approx(theirs, rel=1e-12)


def test_pinball_loss_agrees_with_scikit_learn_and_utilsforecast(case: Case) -> None:
    actual, quantiles, *_ = case
    seen = ~np.isnan(actual)

    learn = [
        sklearn.metrics.mean_pinball_loss(actual[seen], quantiles[..., i][seen], alpha=level)
        for i, level in enumerate(LEVELS)
    ]
    of_series = [
        losses.quantile_loss(frame(actual, model=quantiles[..., i]), {"model": "model"}, q=level)["model"]
        for i, level in enumerate(LEVELS)
    ]
    theirs = [np.average(each, weights=seen.sum(axis=1)) for each in of_series]

    found = of_quantiles(actual, quantiles)["pinball_loss"]

    assert found == pytest.approx(np.mean(learn), rel=1e-12)
    assert found == pytest.approx(np.mean(theirs), rel=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_the_pinball_loss_of_each_level_agrees_with_scikit_learn(level: float, case: Case) -> None:
    actual, quantiles, *_ = case
    seen = ~np.isnan(actual)
    loss = pinball_of_each(actual, quantiles[..., :1], np.array([level]))

    theirs = sklearn.metrics.mean_pinball_loss(actual[seen], quantiles[..., 0][seen], alpha=level)

    assert loss[seen].mean() == pytest.approx(theirs, rel=1e-12)


def test_coverage_agrees_with_utilsforecast(case: Case) -> None:
    actual, quantiles, *_ = case
    lower, upper = quantiles[..., 0], quantiles[..., -1]
    long = frame(actual, **{"model-lo-80": lower, "model-hi-80": upper})
    theirs = losses.coverage(long, ["model"], level=80)["model"]

    observed = (~np.isnan(actual)).sum(axis=1)

    assert of_quantiles(actual, quantiles)["coverage_80"] == pytest.approx(
        np.average(theirs, weights=observed), rel=1e-12
    )


def test_weighted_quantile_loss_by_hand() -> None:
    # Pinball at 0.1: 0.1 * 2 + 0.9 * 5 = 4.7; at 0.5: 1 + 1 = 2. Actuals add up to 30; the third was not observed.
    actual = np.array([[10.0, 20.0, np.nan]])
    predicted = np.array([[[8.0, 12.0], [25.0, 22.0], [0.0, 0.0]]])

    found = of_quantiles(actual, predicted, np.array([0.1, 0.5]))["weighted_quantile_loss"]

    assert found == pytest.approx((2 * 4.7 / 30 + 2 * 2 / 30) / 2)


def test_scaled_quantile_loss_by_hand_for_quantiles_and_for_a_single_number() -> None:
    actual = np.array([[10.0], [4.0], [9.0]])
    quantiles = np.array([[[8.0, 12.0]], [[4.0, 5.0]], [[0.0, 0.0]]])
    # The third series has no scale and is left out.
    levels, scale = np.array([0.1, 0.5]), np.array([2.0, 1.0, 0.0])

    # ((0.2 + 1) / 2 / 2 + (0 + 0.5) / 2 / 1) / 2, and for a forecast of 12 and 5: (1.8 + 1) / 4 and (0.9 + 0.5) / 2.
    found = by_metric(evaluate(actual, quantiles, levels, scale, quantiles[..., 1]))["scaled_quantile_loss"]
    assert found.value == pytest.approx((0.3 + 0.25) / 2)
    assert found.baseline_value == pytest.approx((0.7 + 0.7) / 2)


def test_series_weigh_alike_in_the_scaled_error_however_much_of_them_was_observed() -> None:
    actual = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, np.nan, np.nan, np.nan]])
    predicted = np.array([[2.0, 2.0, 2.0, 2.0], [5.0, 0.0, 0.0, 0.0]])

    assert of_points(actual, predicted, np.array([1.0, 2.0]))["mase"] == pytest.approx((1 + 2) / 2)


def test_two_zeros_are_no_symmetric_error() -> None:
    assert of_points(np.array([[0.0, 0.0]]), np.array([[0.0, 3.0]]))["smape"] == 1.0


def test_seasonal_error_by_hand_leaves_out_gaps_and_never_crosses_series() -> None:
    values = np.array([1, 2, 4, 8, np.nan, 3, 100, 200, 7], np.float32)

    found = seasonal_error(values, np.array([0, 6, 8, 8, 9]), 2)

    # First series: |4 - 1|, |8 - 2| and |3 - 8|, the gap's pairs left out; the others are too short.
    np.testing.assert_allclose(found, [14 / 3, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("season_length", [1, 7, 70])
def test_seasonal_error_is_that_of_each_series_alone(season_length: int, case: Case) -> None:
    *_, values, offsets = case
    alone = [
        np.abs(part[season_length:] - part[:-season_length]).mean() if len(part) > season_length else np.nan
        for part in np.split(values, offsets[1:-1])
    ]

    np.testing.assert_allclose(seasonal_error(values, offsets, season_length), alone)


def test_an_evaluation_holds_every_metric_of_the_forecast_and_of_its_baseline(case: Case) -> None:
    actual, quantiles, baseline, values, offsets = case
    scale = seasonal_error(values, offsets, SEASON)

    found = by_metric(evaluate(actual, quantiles, LEVELS, scale, baseline))

    point, naive = of_points(actual, quantiles[..., 2], scale), of_points(actual, baseline, scale)
    assert {name: found[name].value for name in POINT_METRICS} == pytest.approx({n: point[n] for n in POINT_METRICS})
    assert {name: found[name].baseline_value for name in POINT_METRICS} == pytest.approx(
        {name: naive[name] for name in POINT_METRICS}
    )
    pinball = np.nanmean(pinball_of_each(actual, quantiles, LEVELS) / scale[:, None])
    assert found["scaled_quantile_loss"].value == pytest.approx(pinball)
    # Levels are symmetric around 0.5, so that the pinball loss of a point is half its absolute error.
    assert found["pinball_loss"].baseline_value == pytest.approx(naive["mae"] / 2)
    assert set(found) == {
        *POINT_METRICS,
        "pinball_loss",
        "weighted_quantile_loss",
        "scaled_quantile_loss",
        "coverage_80",
        "coverage_50",
    }
    assert np.isnan(found["coverage_80"].baseline_value)
    assert {score.n for score in found.values()} == {12}


def test_the_mean_losses_of_forecasts_are_the_metrics_of_each_one_alone(case: Case) -> None:
    actual, quantiles, _, values, offsets = case
    actual = np.vstack([actual, np.full((1, 5), np.nan), actual[:1]])
    quantiles = quantiles[[0, 1, 2, 0, 0]]
    quantiles[np.isnan(actual)] = np.nan
    scale = np.append(seasonal_error(values, offsets, SEASON), [1.0, 0.0])

    found = mean_losses(actual, quantiles, LEVELS, scale)

    for i in range(5):
        alone = of_quantiles(actual[i : i + 1], quantiles[i : i + 1], LEVELS, scale[i : i + 1])
        for metric, losses_of in found.items():
            np.testing.assert_allclose(losses_of[i], alone[metric], rtol=1e-12)
    assert np.isnan(found["mase"][3:]).all()
    assert not np.isnan(found["mase"][:3]).any()


def test_each_step_is_evaluated_as_if_it_were_the_whole(case: Case) -> None:
    actual, quantiles, baseline, values, offsets = case
    scale = seasonal_error(values, offsets, SEASON)

    scores = evaluate(actual, quantiles, LEVELS, scale, baseline)

    for step in range(1, 6):
        column = slice(step - 1, step)
        alone = evaluate(actual[:, column], quantiles[:, column], LEVELS, scale, baseline[:, column])
        for name, score in by_metric(alone).items():
            np.testing.assert_allclose(by_metric(scores, step)[name][2:], score[2:])


def test_a_baseline_is_judged_only_where_it_has_a_forecast() -> None:
    actual, quantiles = np.array([[1.0], [5.0]]), np.array([[[1.0]], [[2.0]]])

    found = by_metric(evaluate(actual, quantiles, np.array([0.5]), np.ones(2), np.array([[3.0], [np.nan]])))

    assert found["mae"][2:] == (1.5, 2.0, 2)


def test_where_nothing_was_observed_nothing_is_claimed() -> None:
    actual, predicted, levels = np.full((2, 3), np.nan), np.ones((2, 3)), np.array([0.5])

    scores = evaluate(actual, predicted[..., None], levels, np.ones(2), predicted)

    assert len(scores) == 9 * 4
    assert {score.n for score in scores} == {0}
    assert all(np.isnan(score.value) and np.isnan(score.baseline_value) for score in scores)


def test_huge_float32_values_do_not_overflow() -> None:
    actual, quantiles = np.full((1, 2), 1e30, np.float32), np.full((1, 2, 1), -1e30, np.float32)

    found = by_metric(evaluate(actual, quantiles, np.array([0.5]), np.ones(1)))

    assert found["rmse"].value == pytest.approx(2e30, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: of_points(np.ones((2, 3)), np.ones((2, 4))), r"\(2, 4, 1\).*\(2, 3\).*\(2, 3, 1\)"),
        (lambda: of_points(np.ones((1, 1)), np.full((1, 1), np.nan)), "1 of 1 forecasts are NaN"),
        (lambda: of_quantiles(np.ones((2, 3)), np.ones((2, 3))), r"\(2, 3, 5\)"),
        (lambda: of_points(np.ones((2, 3)), np.ones((2, 3)), np.ones(3)), r"\(3,\)"),
        (lambda: evaluate(np.ones((1, 1)), np.ones((1, 1, 1)), np.array([0.9]), np.ones(1)), "lack 0.5"),
        (
            lambda: evaluate(np.ones((1, 1)), np.ones((1, 1, 1)), np.array([0.5]), np.ones(1), np.ones((1, 2))),
            "baseline",
        ),
        (lambda: seasonal_error(np.ones(3), np.array([0, 3]), 0), "season_length 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_each_segment_is_evaluated_as_if_it_were_alone(case: Case) -> None:
    actual, quantiles, baseline, values, offsets = case
    scale = seasonal_error(values, offsets, SEASON)
    segments = {"all": np.ones(3, bool), "same": np.ones(3, bool), "two": np.array([True, False, True])}

    found = evaluate_segments(actual, quantiles, LEVELS, scale, segments, as_quantiles(baseline, LEVELS))

    for name, mask in segments.items():
        alone = evaluate(actual[mask], quantiles[mask], LEVELS, scale[mask], baseline[mask])
        for mine, other in zip(found[name], alone, strict=True):
            assert mine[:2] == other[:2]
            np.testing.assert_allclose(mine[2:], other[2:])
