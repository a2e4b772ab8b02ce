"""What a challenger's evidence leads to, and the objections that outweigh it."""

from __future__ import annotations

import pytest

from models.lifecycle.e_values import EValues
from models.lifecycle.paired_sums import PairedSums
from models.lifecycle.promotion import PromotionDecision, decide_at_once, decide_in_shadow, objections, worst_segment
from models.settings.training import PromotionSettings

SETTINGS = PromotionSettings()


def test_worse_coverage_is_an_objection_and_coverage_nearer_to_nominal_is_none():
    def found(mine: float, its: float, n: int = 1000) -> list[str]:
        return objections(PairedSums(n, 1.0, 1.0, mine * n, its * n), {}, 0.9, SETTINGS)

    assert found(0.85, 0.88) == ["coverage is 85% where 90% is nominal, the champion's 88%"]
    assert found(0.95, 0.92) == ["coverage is 95% where 90% is nominal, the champion's 92%"]
    assert found(0.88, 0.85) == found(0.875, 0.88) == found(0.92, 0.85) == []
    assert found(0.5, 0.9, n=10) == []
    assert objections(PairedSums(1000, 1.0, 1.0, 0.0, 0.0), {}, None, SETTINGS) == []


def test_a_segment_that_is_a_twentieth_worse_is_an_objection_unless_it_has_few_points():
    segments = {
        "a": PairedSums(200, 105.0, 100.0),
        "b": PairedSums(200, 90.0, 100.0),
        "few": PairedSums(50, 200.0, 100.0),
    }
    assert worst_segment(segments) == ("a", pytest.approx(0.05))
    assert objections(PairedSums(), segments, 0.9, SETTINGS) == ["a is 5% worse"]
    assert objections(PairedSums(), segments | {"a": PairedSums(200, 104.0, 100.0)}, 0.9, SETTINGS) == []
    assert worst_segment({})[0] == ""


BETTER = PairedSums(1000, 80.0, 100.0, 900, 900)


@pytest.mark.parametrize(
    ("evidence", "against", "action"),
    [
        (EValues(20.0, 0.1, 9), [], "promote"),
        (EValues(19.9, 0.1, 9), [], "wait"),
        (EValues(50.0, 0.1, 9), ["a is 5% worse"], "wait"),
        (EValues(0.1, 20.0, 9), [], "retire"),
        (EValues(2.0, 1.0, 41), [], "wait"),
        (EValues(2.0, 1.0, 42), [], "retire"),
        (EValues(20.0, 0.1, 42), [], "promote"),
        (EValues(50.0, 0.1, 42), ["a is 5% worse"], "retire"),
    ],
)
def test_a_shadow_ends_by_evidence_for_or_against_it_or_by_its_last_night(evidence, against, action):
    found = decide_in_shadow(evidence, BETTER, against, SETTINGS)
    assert found.action == action
    assert f"loss 20.0% lower than the champion's over {evidence.nights} nights" in found.reason


def test_a_version_is_promoted_at_once_only_where_the_held_out_steps_say_so():
    assert decide_at_once(EValues(25.0, 0.1), BETTER, [], SETTINGS).action == "promote"
    assert decide_at_once(EValues(25.0, 0.1), BETTER, ["b is 9% worse"], SETTINGS) == PromotionDecision(
        "wait",
        "loss 20.0% lower than the champion's on steps that neither has learnt from, e-value 25, but b is 9% worse",
    )
    assert decide_at_once(EValues(0.5, 30.0), BETTER, [], SETTINGS).action == "retire"
    assert decide_at_once(EValues(3.0, 0.6), BETTER, [], SETTINGS).action == "wait"
    assert "too few steps" in decide_at_once(EValues(1.0, 1.0), PairedSums(), [], SETTINGS).reason
