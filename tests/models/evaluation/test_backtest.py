"""The scores of a backtest: by step, by segment, and of forecasters against each other."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.backtest import BacktestResult, Origin, score_origins
from models.evaluation.scales import scales_at
from models.panel.panel import Panel

LEVELS = np.array([0.1, 0.5, 0.9])


@pytest.fixture
def whole() -> Panel:
    """Four series of 40 days that end at grid position 1000; the last one has only 15."""
    rng = np.random.default_rng(2)
    series = [rng.normal(10, 2, length).astype(np.float32) for length in (40, 40, 40, 15)]
    return Panel(
        values=np.concatenate(series),
        offsets=np.array([0, 40, 80, 120, 135]),
        series_ids=np.array(["a", "b", "c", "d"]),
        frequency="D",
        cutoff_index=1_000,
        season_lengths=(2,),
        horizon=5,
    )


def origin(whole: Panel, back: int, ids: list[str], **segments: list[bool]) -> Origin:
    rng = np.random.default_rng(back)
    middle = rng.normal(10, 2, (len(ids), 5))
    quantiles = {"model": middle[..., None] + [-1, 0, 2], "theta": middle[..., None] + [-5, -3, 5]}
    return Origin(
        cutoff_index=1_000 - back,
        series_ids=np.array(ids),
        quantiles=quantiles,
        baseline=rng.normal(10, 2, (len(ids), 5)),
        reason={"model": np.array(["silent", *[""] * (len(ids) - 1)]), "theta": np.full(len(ids), "")},
        segments={"all": np.ones(len(ids), bool), **{name: np.array(mask) for name, mask in segments.items()}},
    )


@pytest.fixture
def origins(whole) -> list[Origin]:
    # Series d begins between the two cutoffs, and so does the segment `new`.
    return [
        origin(whole, 20, ["a", "b", "c"], big=[True, False, True]),
        origin(whole, 10, ["a", "b", "c", "d"], big=[True, False, True, False], new=[False, False, False, True]),
    ]


@pytest.fixture
def result(whole, origins) -> BacktestResult:
    return score_origins(whole, origins, LEVELS)


def actuals(whole: Panel, each: Origin) -> np.ndarray:
    back, place = 1_000 - each.cutoff_index, np.searchsorted(whole.series_ids, each.series_ids)
    ends = whole.offsets[1:][place]
    return np.array([whole.values[end - back : end - back + 5] for end in ends])


def test_every_step_and_segment_has_the_error_of_each_forecaster(whole, origins, result):
    found: dict[str, list[np.ndarray]] = {"model": [], "theta": [], "naive": []}
    for each in origins:
        actual = actuals(whole, each)
        found["model"].append(np.abs(each.quantiles["model"][..., 1] - actual))
        found["theta"].append(np.abs(each.quantiles["theta"][..., 1] - actual))
        found["naive"].append(np.abs(each.baseline - actual))
    errors = {name: np.concatenate(each) for name, each in found.items()}
    mae = {row["step"]: row for row in result.scores if row["metric"] == "mae"}
    assert mae[0]["value"] == pytest.approx(errors["model"].mean(), rel=1e-5)
    assert mae[3]["value"] == pytest.approx(errors["model"][:, 2].mean(), rel=1e-5)
    assert mae[3]["baseline_value"] == pytest.approx(errors["naive"][:, 2].mean(), rel=1e-5)
    assert mae[3]["challengers"]["theta"] == pytest.approx(errors["theta"][:, 2].mean(), rel=1e-5)
    of_segments = {row["segment"]: row for row in result.segments if row["metric"] == "mae"}
    assert of_segments["big"]["value"] == pytest.approx(errors["model"][[0, 2, 3, 5]].mean(), rel=1e-5)
    assert (of_segments["new"]["n"], of_segments["new"]["value"]) == (5, pytest.approx(errors["model"][6].mean()))
    assert result.forecasts == 7
    assert result.by_fallback == {"model": {"silent": 2}, "theta": {}}


def test_a_difference_is_the_mean_over_forecasts_of_the_difference_of_mean_scaled_errors(whole, origins, result):
    first, second = [], []
    for each in origins:
        place = np.searchsorted(whole.series_ids, each.series_ids)
        unit = scales_at(whole, 2, [each.cutoff_index])[0][place]
        actual = actuals(whole, each)
        first.append(np.abs(each.quantiles["model"][..., 1] - actual).mean(axis=1) / unit)
        second.append(np.abs(each.baseline - actual).mean(axis=1) / unit)
    rows = {(row["segment"], row["metric"], row["against"]): row for row in result.differences}
    assert set(rows) == {
        (segment, metric, against)
        for segment in ("all", "big", "new")
        for metric in ("scaled_quantile_loss", "mase")
        for against in ("theta", "seasonal naive")
    }
    found = rows["all", "mase", "seasonal naive"]
    assert found["mean"] == pytest.approx((np.concatenate(first) - np.concatenate(second)).mean(), rel=1e-4)
    assert found["second"] == pytest.approx(np.concatenate(second).mean(), rel=1e-4)
    assert (found["cutoffs"], found["series"]) == (2, 4)
    assert np.isnan(rows["new", "mase", "theta"]["low"])
