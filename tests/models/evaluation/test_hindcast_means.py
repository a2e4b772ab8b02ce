"""A hindcast in a few figures: weighted by actuals, and of those that the model had not learnt from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.evaluation.hindcast_means import hindcast_means

NIGHT = datetime(2024, 3, 1, tzinfo=UTC)


def row(days_ago, loss, n=10, segment="all", in_sample=False, coverage=0.9):
    moment = NIGHT - timedelta(days=days_ago)
    figures = {"loss": loss, "baseline_loss": 1.0, "coverage": coverage, "n": n, "in_sample": in_sample}
    return {"segment": segment, "evaluated_on": moment, **figures}


def test_evaluations_count_by_their_actuals_and_the_whole_job_comes_first():
    rows = [row(2, 0.6, 10, "a"), row(1, 0.5, 10), row(2, 0.2, 30, coverage=float("nan"))]
    whole, part = hindcast_means(rows)
    assert (whole.segment, part.segment) == ("all", "a")
    # (10 x 0.5 + 30 x 0.2) / 40
    assert (whole.loss, whole.coverage, whole.n) == (pytest.approx(0.275), 0.9, 40)
    assert (whole.first, whole.last) == (NIGHT - timedelta(days=2), NIGHT - timedelta(days=1))
    assert whole.basis == "judged on 2 past cutoffs before the job existed"


def test_what_the_model_was_trained_on_counts_only_where_there_is_nothing_else():
    trained = [row(9, 0.1, in_sample=True)]
    assert hindcast_means([*trained, row(1, 0.5)])[0].loss == 0.5
    [alone] = hindcast_means(trained)
    assert alone.basis == "judged on 1 past cutoff before the job existed, which the model was trained on"


def test_evaluations_without_actuals_say_nothing():
    assert hindcast_means([row(1, None, 0), row(2, float("nan"), 0)]) == []
