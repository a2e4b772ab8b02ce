"""Which scores are written: those that changed, and none from fewer actuals than a later night has seen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from models.evaluation.segments import segment_name
from sql.output import history
from tasks.evaluation.keep_scores import keep_scores
from tasks.night.ledger import Ledger

NIGHT = datetime(2024, 3, 1, tzinfo=UTC)


def row(segment: str = "all", value: float = 1.0, n: int = 10, version: str | None = "v1") -> dict:
    figures = {"value": value, "baseline_value": float("nan"), "n": n, "model_version": version}
    return {"job": "sales", "cutoff": NIGHT, "segment": segment, "step": 0, "metric": "mae", **figures}


@pytest.fixture
def ledger(places):
    return Ledger(places)


@pytest.fixture
def stored(places):
    """Value and number of each segment's stored score."""
    return lambda: {
        each["segment"]: (each["value"], each["n"]) for each in history.scores(places.engine(), "sales", NIGHT)
    }


def test_a_score_that_is_stored_already_is_not_written_again(ledger, stored):
    rows = [row(), row("region=north", 2.0)]
    assert [keep_scores(ledger, rows) for _ in range(2)] == [2, 0]
    assert keep_scores(ledger, [row(), row("region=north", 3.0)]) == 1
    assert stored() == {"all": (1.0, 10), "region=north": (3.0, 10)}


def test_scores_of_a_version_that_no_longer_forecasts_the_night_are_deleted_and_those_of_a_segment_stay(ledger, stored):
    keep_scores(ledger, [row(), row("version=v1"), row("version=fallback"), row("region=north")])
    keep_scores(ledger, [row(version="v2"), row("version=v2"), row("version=fallback")])
    keep_scores(ledger, [{**row(), "metric": "instability"}])  # a metric without versions
    assert set(stored()) == {"all", "version=v2", "version=fallback", "region=north"}
    assert ledger.scores(NIGHT, "all", "mae")[0]["model_version"] == "v2"


def test_a_past_night_replaces_no_score_from_more_actuals(ledger, stored):
    keep_scores(ledger, [row("a", n=10), row("b", n=10)])
    keep_scores(ledger, [row("a", 2.0, 9), row("b", 2.0, 10), row("c", 2.0, 1)], more_actuals=0)
    assert stored() == {"a": (1.0, 10), "b": (2.0, 10), "c": (2.0, 1)}
    keep_scores(ledger, [row("a", 3.0, 10), row("b", 3.0, 11)], more_actuals=1)
    assert stored() == {"a": (1.0, 10), "b": (3.0, 11), "c": (2.0, 1)}


def test_scores_of_a_static_column_called_version_stay_where_a_version_no_longer_forecasts(ledger, stored):
    own = segment_name("version", "v1")
    keep_scores(ledger, [row(), row("version=v1"), row(own)])
    keep_scores(ledger, [row(version="v2"), row("version=v2", version="v2")])
    assert set(stored()) == {"all", "version=v2", own}
