"""Whether tonight trains a network from scratch, continues the champion or only loads it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from models.errors import InputError
from models.settings.forecast import ForecastSettings
from models.settings.network import NetworkSettings
from models.settings.training import TrainingSettings

Policy = Literal["auto", "scratch", "warm", "never"]
Mode = Literal["scratch", "warm", "load"]


@dataclass(frozen=True)
class ChampionFacts:
    """What the decision needs to know of the champion.

    Attributes:
        version: Its name.
        trained_until: The newest timestamp that it has learnt from, with a zone.
        built_for: What it was built for, as `built_for` gave it then; JSON.
        damage: Why it cannot be read; "" where it can.
    """

    version: str
    trained_until: datetime
    built_for: Mapping[str, Any]
    damage: str = ""


@dataclass(frozen=True)
class Trainings:
    """The trainings before tonight.

    Attributes:
        from_scratch: Cutoff of the newest training from scratch, whether or not its version was promoted; None for
            none.
        continued: Cutoff of the newest night that continued the champion, whether or not that found anything better.
        in_shadow: The challenger that is being compared with the champion; "" for none.
    """

    from_scratch: datetime | None = None
    continued: datetime | None = None
    in_shadow: str = ""


@dataclass(frozen=True)
class TrainingNeed:
    """What calls for a training, or against one, as known tonight.

    Attributes:
        unknown_share: Share of tonight's series that the champion has not learnt from, in [0, 1].
        loss_state: The newest state of the loss: "degraded", "ok" or "not evaluated".
        degraded_since: The first evaluation of the degradation that still lasts; None for none.
        trainings: What was trained before tonight.
    """

    unknown_share: float = 0.0
    loss_state: str = "not evaluated"
    degraded_since: datetime | None = None
    trainings: Trainings = Trainings()


class TrainingDecision(NamedTuple):
    """How to get tonight's network, and why."""

    mode: Mode
    reason: str


def built_for(
    forecast: ForecastSettings, network: NetworkSettings, covariates: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Everything that a network is built for and cannot change later: JSON, stored with each version.

    Bounds are not part of it: they are applied to the forecasts of any network. `covariates` is the panel's.
    """
    shape = forecast.model_dump(
        mode="json", include={"frequency", "horizon", "time_zone", "season_lengths", "quantile_levels"}
    )
    if forecast.holidays:
        shape["holidays"] = forecast.holidays
    if forecast.week_label != "last_day":
        shape["week_label"] = forecast.week_label
    shape |= covariates
    return shape | {f"network.{key}": value for key, value in network.model_dump(mode="json").items()}


def decide_training(
    policy: Policy,
    champion: ChampionFacts | None,
    *,
    wanted: Mapping[str, Any],
    cutoff: datetime,
    need: TrainingNeed,
    settings: TrainingSettings,
) -> TrainingDecision:
    """Decide how to get the network for one night.

    Under "auto" the first rule that applies decides. From scratch: no champion can be read and fits, forecasts are
    degraded, or the champion is `retrain_after_days` old. Continue it: it does not know many of the series, or it is
    `warm_after_days` old. Otherwise load it.

    A training is not repeated night after night, also where the champion stayed. After the loss degraded, there is one
    training from scratch, and another when `again_after_days` have passed. Age alone calls for a training from scratch
    once in `retrain_after_days`, and not while a challenger is in the champion's shadow. A champion is continued once
    in `warm_after_days`.

    Args:
        policy: "scratch" always trains, "warm" continues where it can, "never" only loads.
        champion: The facts of the job's champion, or None.
        wanted: What tonight needs, from `built_for`.
        cutoff: The last timestamp that tonight may see, with a zone.
        need: What "auto" decides by.
        settings: The ages and the share at which "auto" trains.

    Raises:
        InputError: where the policy is "never" and no champion can forecast tonight.
    """
    obstacle = _obstacle(champion, wanted, cutoff)
    if policy == "scratch":
        return TrainingDecision("scratch", "requested")
    if champion is None or obstacle is not None:
        if policy == "never":
            later = "Give a later cutoff, or run" if champion and champion.trained_until > cutoff else "Run"
            raise InputError(
                f"Training policy 'never' has nothing to load: {obstacle}. {later} once with training scratch "
                "(--train scratch)."
            )
        return TrainingDecision("scratch", str(obstacle))
    if policy == "never":
        return TrainingDecision("load", f"requested: {champion.version} without training")
    if policy == "warm":
        return TrainingDecision("warm", f"requested: from {champion.version}")
    return _by_need(champion, cutoff, need, settings)


def _by_need(
    champion: ChampionFacts, cutoff: datetime, need: TrainingNeed, settings: TrainingSettings
) -> TrainingDecision:
    """The decision of "auto" about a champion that can forecast tonight."""
    version, age = champion.version, _days_since(champion.trained_until, cutoff)
    anew = _days_since(need.trainings.from_scratch, cutoff)
    note = ""
    if need.loss_state == "degraded":
        tried = need.degraded_since is not None and anew <= _days_since(need.degraded_since, cutoff)
        if not tried:
            return TrainingDecision("scratch", f"forecasts are degraded under {version}")
        if anew >= settings.again_after_days:
            again = f"{_in_days(anew)} after the last training from scratch, again_after_days is"
            return TrainingDecision(
                "scratch", f"forecasts are still degraded under {version}, {again} {settings.again_after_days:g}"
            )
        note = f"; forecasts are degraded, and a network was trained from scratch {_in_days(anew)} ago"
    limit = settings.retrain_after_days
    if age >= limit and anew >= limit and not need.trainings.in_shadow:
        return TrainingDecision("scratch", f"{version} is {_in_days(age)} old, retrain_after_days is {limit:g}{note}")
    return _continue_or_load(champion, cutoff, need, settings, note)


def _continue_or_load(
    champion: ChampionFacts, cutoff: datetime, need: TrainingNeed, settings: TrainingSettings, note: str
) -> TrainingDecision:
    """The decision of "auto" where nothing calls for a training from scratch."""
    version, age = champion.version, _days_since(champion.trained_until, cutoff)
    continued, limit = _days_since(need.trainings.continued, cutoff), settings.warm_after_days
    many_unknown = need.unknown_share >= settings.new_series_share
    if many_unknown and continued >= limit:
        return TrainingDecision("warm", f"{version} does not know {need.unknown_share:.0%} of the series{note}")
    if age >= limit and continued >= limit:
        return TrainingDecision("warm", f"{version} is {_in_days(age)} old, warm_after_days is {limit:g}{note}")
    known = "and was continued recently" if age >= limit or many_unknown else "and knows the series"
    return TrainingDecision("load", f"{version} is {_in_days(age)} old {known}{note}")


def _in_days(days: float) -> str:
    number = f"{days:.0f}"
    return f"{number} day{'' if number == '1' else 's'}"


def _days_since(moment: datetime | None, cutoff: datetime) -> float:
    """Days from a moment to the cutoff; infinite where there was no such moment."""
    return float("inf") if moment is None else (cutoff - moment) / timedelta(days=1)


def _obstacle(champion: ChampionFacts | None, wanted: Mapping[str, Any], cutoff: datetime) -> str | None:
    """Why the champion cannot forecast tonight, or None where it can."""
    if champion is None:
        return "the job has no champion yet"
    if champion.trained_until > cutoff:
        until, end = (f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for moment in (champion.trained_until, cutoff))
        return f"no version was trained by the cutoff {end}: champion {champion.version} has learnt up to {until}"
    if champion.damage:
        return f"champion {champion.version} cannot be read: {champion.damage}; training from scratch"
    names = [*wanted, *(name for name in champion.built_for if name not in wanted)]
    changed = [
        f"{name} {champion.built_for.get(name)} (now {wanted.get(name)})"
        for name in names
        if champion.built_for.get(name) != wanted.get(name)
    ]
    return f"champion {champion.version} was built for {', '.join(changed)}" if changed else None
