"""An evaluation of several nights: the scores of each, and the loss of all together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.evaluator import Evaluator
from models.evaluation.segments import Segments, segments_of
from models.evaluation.special_days import SpecialDayCriteria, SpecialDays


@pytest.fixture
def panel(panel_of):
    return panel_of([0, 1, 2, 3, 10, 20], [0, 1, 2, 3, 10, 20], static={"region": np.array(["north", "south"])})


@pytest.fixture
def evaluator(panel):
    segments = Segments(segments_of(panel, ["region"]), None)
    return Evaluator(panel, segments, SpecialDays(panel, SpecialDayCriteria()))


@pytest.fixture
def night(panel, night_of):
    """Forecasts of both days before the panel's end: 2 too low for the first series, right for the second."""
    rows = [(0, 1, [7, 8, 9], 4), (0, 2, [17, 18, 19], 4), (1, 1, [9, 10, 11], 4), (1, 2, [19, 20, 21], 4)]
    return replace(night_of(panel, 98, rows), versions=("v1", ""), version=np.array([0, 1]))


def test_a_night_is_scored_for_each_segment_and_each_version_that_forecast_it(evaluator, night):
    scores = evaluator.scores(night, np.full(2, 2.0))

    errors = {row["segment"]: row for row in scores if (row["metric"], row["step"]) == ("mae", 0)}
    assert {name: (row["value"], row["n"], row["model_version"]) for name, row in errors.items()} == {
        "all": (1.0, 4, "v1"),
        "region=north": (2.0, 2, "v1"),
        "region=south": (0.0, 2, "fallback"),
        "version=v1": (2.0, 2, "v1"),
        "version=fallback": (0.0, 2, "fallback"),
    }
    assert {row["step"] for row in scores} == {0, 1, 2}


def test_the_loss_counts_the_points_of_all_nights_that_no_earlier_evaluation_has_counted(evaluator, night, panel):
    evaluator.count(night, np.full(2, 2.0), 99)
    evaluator.count(night, np.full(2, 2.0), 98)

    losses = evaluator.losses()
    assert {name: loss.n for name, loss in losses.items()} == {"all": 6, "region=north": 3, "region=south": 3}
    assert losses["region=north"].bias == -1.0


def test_a_night_without_an_actual_has_no_score(evaluator, panel, night_of):
    assert evaluator.scores(night_of(panel, 100, [(0, 1, [1, 2, 3], 2)]), np.ones(2)) == []
