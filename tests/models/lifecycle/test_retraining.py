"""Every reason to train, and every reason not to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.errors import InputError
from models.lifecycle.retraining import (
    ChampionFacts,
    TrainingDecision,
    TrainingNeed,
    Trainings,
    built_for,
    decide_training,
)
from models.settings.forecast import ForecastSettings
from models.settings.network import Layer, NetworkSettings
from models.settings.training import TrainingSettings

CUTOFF = datetime(2024, 3, 31, tzinfo=UTC)
FORECAST = ForecastSettings(frequency="D", horizon=28)
NETWORK = NetworkSettings()
WANTED = built_for(FORECAST, NETWORK, {})


def champion(days: float = 1, **changes: Any) -> ChampionFacts:
    # Through JSON, as the store keeps it.
    return ChampionFacts("v1", CUTOFF - timedelta(days=days), json.loads(json.dumps(WANTED | changes)))


def decide(policy: Any = "auto", facts: ChampionFacts | None = None, **changes: Any) -> TrainingDecision:
    wanted = changes.pop("wanted", WANTED)
    need = TrainingNeed(**({"loss_state": "ok"} | changes))
    return decide_training(policy, facts, wanted=wanted, cutoff=CUTOFF, need=need, settings=TrainingSettings())


def test_a_young_champion_that_knows_the_series_is_loaded() -> None:
    assert decide(facts=champion(1)) == ("load", "v1 is 1 day old and knows the series")


@pytest.mark.parametrize(
    ("days", "mode"), [(0, "load"), (6.9, "load"), (7, "warm"), (29.9, "warm"), (30, "scratch"), (400, "scratch")]
)
def test_age_decides_between_loading_continuing_and_starting_anew(days: float, mode: str) -> None:
    assert decide(facts=champion(days)).mode == mode


def test_many_unknown_series_continue_the_training() -> None:
    assert decide(facts=champion(), unknown_share=0.09).mode == "load"
    assert decide(facts=champion(), unknown_share=0.1) == ("warm", "v1 does not know 10% of the series")


def test_degraded_forecasts_start_anew_even_under_a_young_champion() -> None:
    assert decide(facts=champion(), loss_state="degraded") == ("scratch", "forecasts are degraded under v1")
    assert decide(facts=champion(), loss_state="not evaluated").mode == "load"


def days_ago(days: float) -> datetime:
    return CUTOFF - timedelta(days=days)


@pytest.mark.parametrize(
    ("trained", "mode"),
    [(4, "scratch"), (3, "load"), (2, "load"), (0, "load")],
    ids=["before it degraded", "on that night", "since", "tonight"],
)
def test_a_loss_that_degraded_three_nights_ago_starts_anew_once(trained: float, mode: str) -> None:
    found = decide(
        facts=champion(5), loss_state="degraded", degraded_since=days_ago(3), trainings=Trainings(days_ago(trained))
    )
    assert found.mode == mode
    assert ("a network was trained from scratch" in found.reason) == (mode == "load")


@pytest.mark.parametrize(("days", "mode"), [(13.9, "load"), (14, "scratch")])
def test_a_loss_that_stays_degraded_starts_anew_again_after_a_while(days: float, mode: str) -> None:
    found = decide(
        facts=champion(5), loss_state="degraded", degraded_since=days_ago(40), trainings=Trainings(days_ago(days))
    )
    assert found.mode == mode
    if mode == "scratch":
        why = "14 days after the last training from scratch, again_after_days is 14"
        assert found.reason == f"forecasts are still degraded under v1, {why}"


def test_a_degraded_loss_does_not_keep_from_continuing_an_old_champion() -> None:
    found = decide(
        facts=champion(8), loss_state="degraded", degraded_since=days_ago(3), trainings=Trainings(days_ago(2))
    )
    assert found.mode == "warm"


@pytest.mark.parametrize(
    ("trainings", "mode"),
    [
        (Trainings(days_ago(60)), "scratch"),
        (Trainings(days_ago(29), days_ago(1)), "load"),
        (Trainings(days_ago(29)), "warm"),
        (Trainings(days_ago(60), days_ago(1), "v2"), "load"),
        (Trainings(days_ago(60), days_ago(1)), "scratch"),
    ],
    ids=["long ago", "its challenger was not taken", "and it may be continued", "one is in its shadow", "none is"],
)
def test_an_old_champion_is_not_trained_anew_night_after_night(trainings: Trainings, mode: str) -> None:
    assert decide(facts=champion(61), trainings=trainings).mode == mode


@pytest.mark.parametrize(("days", "mode"), [(1, "load"), (6.9, "load"), (7, "warm")])
def test_a_champion_that_was_continued_in_vain_is_left_alone_for_a_while(days: float, mode: str) -> None:
    for facts, share in ((champion(12), 0.0), (champion(1), 0.5)):
        found = decide(facts=facts, unknown_share=share, trainings=Trainings(continued=days_ago(days)))
        assert found.mode == mode
    assert decide(facts=champion(1), trainings=Trainings(continued=days_ago(1))).reason.endswith("knows the series")


@pytest.mark.parametrize("policy", ["auto", "warm", "scratch"])
def test_without_a_champion_training_starts_from_scratch(policy: str) -> None:
    assert decide(policy).mode == "scratch"


@pytest.mark.parametrize(("policy", "mode"), [("scratch", "scratch"), ("warm", "warm"), ("never", "load")])
def test_a_policy_is_obeyed_whatever_the_age_and_the_loss(policy: str, mode: str) -> None:
    for days in (1, 400):
        found = decide(policy, champion(days), loss_state="degraded", unknown_share=1.0)

        assert found.mode == mode
        assert found.reason.startswith("requested")


@pytest.mark.parametrize(
    ("forecast", "network", "reason"),
    [
        ({"horizon": 14}, {}, "horizon 28 (now 14)"),
        ({"frequency": "h"}, {}, "frequency D (now h)"),
        ({"quantile_levels": [0.1, 0.5]}, {}, "(now [0.1, 0.5])"),
        ({"time_zone": "Asia/Kolkata"}, {}, "time_zone UTC (now Asia/Kolkata)"),
        ({}, {"layers": [Layer(cell="lstm", units=8)]}, "network.layers None (now [{'cell': 'lstm', 'units': 8}])"),
        ({"holidays": ["ES"]}, {}, "holidays None (now ['ES'])"),
        ({}, {"segment": 7}, "network.segment None (now 7)"),
    ],
)
@pytest.mark.parametrize("policy", ["auto", "warm"])
def test_a_champion_built_for_something_else_is_replaced_and_the_reason_names_it(
    policy: str, forecast: dict[str, Any], network: dict[str, Any], reason: str
) -> None:
    wanted = built_for(FORECAST.model_copy(update=forecast), NETWORK.model_copy(update=network), {})

    found = decide(policy, champion(), wanted=wanted)

    assert found.mode == "scratch"
    assert found.reason.startswith("champion v1 was built for ")
    assert reason in found.reason


def test_a_champion_that_was_trained_with_other_covariates_is_replaced() -> None:
    wanted = built_for(FORECAST, NETWORK, {"known_future": ["price", "promotion"]})
    learnt = champion(known_future=["promotion"])

    assert decide(facts=learnt, wanted=wanted).reason == (
        "champion v1 was built for known_future ['promotion'] (now ['price', 'promotion'])"
    )


def test_a_key_that_settings_no_longer_have_replaces_the_champion_too() -> None:
    assert "network.gone 1 (now None)" in decide(facts=champion(**{"network.gone": 1})).reason


@pytest.mark.parametrize("policy", ["auto", "warm"])
def test_a_champion_that_cannot_be_read_is_replaced_and_the_reason_says_what_is_wrong(policy: str) -> None:
    damaged = replace(champion(), damage="weights.h5 is missing")

    assert decide(policy, damaged) == (
        "scratch",
        "champion v1 cannot be read: weights.h5 is missing; training from scratch",
    )


def test_bounds_are_laid_on_any_network() -> None:
    bounded = built_for(FORECAST.model_copy(update={"lower_bound": 0.0, "upper_bound": 9.0}), NETWORK, {})

    assert decide(facts=champion(), wanted=bounded).mode == "load"


def test_a_past_night_never_uses_a_champion_that_has_learnt_from_its_future() -> None:
    found = decide(facts=champion(-1))

    assert found.mode == "scratch"
    assert found.reason == (
        "no version was trained by the cutoff 2024-03-31 00:00 UTC: champion v1 has learnt up to 2024-04-01 00:00 UTC"
    )
    assert decide(facts=champion(0)).mode == "load"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (None, "the job has no champion yet"),
        (champion(horizon=7), "horizon 7 .now 28."),
        (champion(-1), "by the cutoff 2024-03-31.*champion v1 .*2024-04-01.*Give a later cutoff"),
    ],
)
def test_never_training_with_nothing_to_load_is_an_input_error_with_the_remedy(
    facts: ChampionFacts | None, reason: str
) -> None:
    with pytest.raises(InputError, match=rf"{reason}.*--train scratch"):
        decide("never", facts)
