"""What a newly trained version becomes, and what that changes in the tables."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from models.lifecycle.promotion import PromotionDecision
from models.settings.training import PromotionSettings
from sql.output import history, write
from tasks.night.ledger import Ledger
from tasks.store.version_store import StoredVersion
from tasks.training.champion import judged_challenger
from tasks.training.decide import Decision
from tasks.training.night_model import NightModel
from tasks.training.order import Trained
from tasks.training.promotion import apply_promotion, judge_new_version

DAY = timedelta(days=1)
EVIDENCE = PromotionSettings(policy="evidence")


def version(name: str) -> StoredVersion:
    return StoredVersion(name, f"file:///{name}", name)


def trained(gain: float = 0.0, coverage: float = 0.8, days: int = 28) -> Trained:
    """A training whose version lost so much less than the champion on the held-out days."""
    champion = np.random.default_rng(0).uniform(40, 60, days)
    by_step = np.column_stack([np.full(days, 100), champion * (1 - gain), champion, *np.full((2, days), 80.0)])
    by_step[:, 1] *= np.linspace(0.98, 1.02, days)
    by_step[:, 3] = 100 * coverage
    segments = {"all": by_step.sum(axis=0).tolist()}
    return Trained({}, {"quantile_levels": [0.1, 0.5, 0.9]}, [], "", by_step.tolist(), segments)


def challenger(places):
    return judged_challenger(Ledger(places))


@pytest.fixture
def judge(places, make_night):
    """Judges the version v2 of a night beside the champion v1 of the day before."""
    cutoff = make_night().cutoff
    for name, age in (("v1", DAY), ("v2", 0 * DAY)):
        write.add_model(places.engine(), "sales", name, cutoff - age, cutoff - age, f"file:///{name}", name)
    write.promote(places.engine(), "sales", "v1", cutoff - DAY)

    def judged(mode="scratch", result=None, champion="v1", promotion=EVIDENCE):
        decision = Decision(mode, "", version(champion) if champion else None)
        night = make_night(promotion=promotion)
        promotion, row = judge_new_version(night, version("v2"), decision, result or trained())
        return promotion, row, NightModel(mode, new_version=version("v2"), promotion=promotion, evaluation=row), cutoff

    return judged


def test_where_nothing_else_can_forecast_a_new_version_takes_over_and_says_so(judge, places):
    promotion, row, *_ = judge(champion="")
    assert (promotion, row) == (PromotionDecision("promote", "no other can forecast this night"), None)


def test_a_version_that_is_clearly_better_on_held_out_steps_is_promoted_at_once(judge, make_night, places):
    promotion, row, model, cutoff = judge(result=trained(0.3))
    assert promotion.action == "promote"
    assert promotion.reason.startswith(
        "loss 30.0% lower than the champion's on steps that neither has learnt from, e-value "
    )
    assert (row["champion_version"], row["held_out"], row["action"], row["evaluated_on"]) == (
        "v1",
        True,
        "promote",
        cutoff,
    )
    assert row["effect"] == pytest.approx(-0.3, abs=0.005)
    apply_promotion(make_night(cutoff, started_at=cutoff + DAY), model)
    champion = history.champion(places.engine(), "sales")
    assert (champion["version"], champion["served_from"], champion["reason"]) == ("v2", cutoff, promotion.reason)
    assert challenger(places) is None


def test_one_that_is_not_is_a_challenger_and_the_one_before_goes(judge, make_night, places):
    _, row, model, cutoff = judge(result=trained(0.01))
    write.add_model(places.engine(), "sales", "v0", cutoff - 2 * DAY, cutoff - 2 * DAY, "file:///v0", "v0")
    write.upsert_promotions(places.engine(), [row | {"version": "v0", "evaluated_on": cutoff - 2 * DAY}])
    assert challenger(places)["version"] == "v0"
    for _ in range(2):
        apply_promotion(make_night(cutoff, started_at=cutoff + DAY), model)
        rows = {each["version"]: each for each in history.models(places.engine(), "sales")}
        assert {name: each["stage"] for name, each in rows.items()} == {
            "v0": "retired", "v1": "champion", "v2": "challenger",
        }  # fmt: skip
        assert rows["v0"]["reason"] == "undecided when v2 was trained"
        assert challenger(places)["version"] == "v2"


def test_one_that_is_clearly_worse_is_retired_at_once(judge, make_night, places):
    promotion, _, model, cutoff = judge(result=trained(-0.3))
    assert promotion.action == "retire"
    apply_promotion(make_night(cutoff, started_at=cutoff + DAY), model)
    assert history.champion(places.engine(), "sales")["version"] == "v1"
    assert challenger(places) is None


@pytest.mark.parametrize(("coverage", "action"), [(0.8, "promote"), (0.85, "retire")])
def test_a_warm_start_that_did_better_is_promoted_unless_its_coverage_is_worse(judge, coverage, action):
    promotion, row, *_ = judge("warm", trained(0.0, coverage))
    assert (promotion.action, row["action"]) == (action, action)
    assert promotion.reason.startswith("it continues the champion and did better on the windows that were held out")
    if action == "retire":
        assert promotion.reason.endswith(", but coverage is 85% where 80% is nominal, the champion's 80%")


def test_what_was_retired_does_not_come_back_by_being_trained_again(judge, make_night, places):
    write.promote(places.engine(), "sales", "v2", judge()[3])
    write.rollback(places.engine(), "sales", judge()[3])
    promotion, _, model, cutoff = judge(result=trained(0.3))
    assert promotion == PromotionDecision("retire", "it was retired before: rolled back on 2024-03-01 00:00 UTC")
    apply_promotion(make_night(cutoff, started_at=cutoff + DAY), model)
    assert history.champion(places.engine(), "sales")["version"] == "v1"


def test_the_champion_trained_once_more_is_the_champion_and_always_asks_for_no_evidence(judge):
    assert judge(champion="v2")[0] == PromotionDecision("promote", "the training gave the champion once more")
    always = PromotionSettings(policy="always")
    assert judge(result=trained(-0.3), promotion=always)[:2] == (
        PromotionDecision("promote", "promotion.policy is always"), None,
    )  # fmt: skip


def test_a_night_that_a_newer_one_has_overtaken_puts_no_challenger_in_the_shadow(
    judge, make_night, places, forecast_rows
):
    _, _, model, cutoff = judge()
    write.publish_forecast(places.engine(), forecast_rows(cutoff + DAY))
    apply_promotion(make_night(cutoff, started_at=cutoff + DAY), model)
    assert challenger(places) is None
    # Nor does a night before the champion's first change who that is.
    better = judge(result=trained(0.3))[2]
    apply_promotion(make_night(cutoff - 2 * DAY, started_at=cutoff + DAY), better)
    assert history.champion(places.engine(), "sales")["version"] == "v1"
