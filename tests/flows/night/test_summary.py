"""What a night says at its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.night.summary import NightSummary
from models.evaluation.hindcast_means import HindcastMeans

CUTOFF = datetime(2025, 2, 27, 23, tzinfo=UTC)


def score(metric: str, **facts) -> dict:
    return {
        "segment": "all",
        "step": 0,
        "metric": metric,
        "cutoff": CUTOFF,
        "value": 12.7259,
        "baseline_value": 16,
    } | facts


def summary(**facts) -> NightSummary:
    return NightSummary(**{"run_id": "r1", "job": "sales", "cutoff": CUTOFF, "series": 60, "tables": "t.db", **facts})


@pytest.mark.parametrize(
    ("messages", "words"), [([], "60 series"), (["a"], "1 alert not delivered"), (["a", "b"], "2 alerts not delivered")]
)
def test_undelivered_alerts_are_counted(messages, words):
    assert summary(undelivered=messages).message.split("; ")[-1] == words


@pytest.mark.parametrize(
    ("steps", "scored"),
    [([1], "step 1 alone"), ([3], "step 3 alone"), ([1, 2, 3], "3 steps"), ([*range(1, 29)], "28 steps")],
)
def test_a_score_names_the_steps_and_the_night_that_it_is_of(steps, scored):
    text = summary(
        scores=[score("mae"), score("bias"), score("mae", segment="region=north")], scored_steps=steps
    ).text()
    [line] = [line for line in text.splitlines() if line.strip().startswith("score")]
    assert line == f"  score     mae 12.726 (seasonal naive 16.000), {scored} of the night of 2025-02-27 23:00 UTC"


def test_a_training_without_time_for_all_steps_says_so_in_one_line():
    cut = "there was time for 424 of 600 training steps"
    assert (
        summary(trained_on="trained on 9 of 60 series", cut=cut).message
        == f"60 series; trained on 9 of 60 series; {cut}"
    )


def test_a_night_without_actuals_tells_its_hindcast():
    means = [
        HindcastMeans(name, 28, False, CUTOFF - timedelta(days=28), CUTOFF, loss, 0.5, 0.9, 1680)
        for name, loss in (("all", 0.25), ("region=north", 0.3))
    ]
    empty = {"segment": "all", "n": 0, "state": "not evaluated"}
    lines = summary(losses=[empty], hindcast=means).text().splitlines()
    told = [line.removeprefix("  loss      ") for line in lines if line.startswith("  loss ")]
    assert told == [
        "not evaluated: no new actual of an earlier forecast has arrived",
        "hindcast, judged on 28 past cutoffs before the job existed",
        "all: 0.250 (seasonal naive 0.500), coverage 0.900",
        "region=north: 0.300 (seasonal naive 0.500), coverage 0.900",
    ]
    assert summary(hindcast=means).to_dict()["hindcast"][0]["last"] == "2025-02-27T23:00:00+00:00"
