"""Whether tonight trains a network, continues one or only loads it, and why."""

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
    """What must be known of a champion to decide about it.

    Attributes:
        version: Its name.
        trained_until: The newest timestamp that it has learnt from, with a zone.
        built_for: What it was built for, as `built_for` gave it then; JSON.
        damage: What keeps it from being read, in words; "" where nothing does.
    """

    version: str
    trained_until: datetime
    built_for: Mapping[str, Any]
    damage: str = ""


@dataclass(frozen=True)
class Trainings:
    """What was trained by tonight, and what it was for.

    Attributes:
        from_scratch: The newest cutoff of a training from scratch, whatever became of the version; None for none.
        continued: That of a night that continued the champion, whether or not it found anything better.
        in_shadow: The challenger that still has to show that it is better; "" for none.
    """

    from_scratch: datetime | None = None
    continued: datetime | None = None
    in_shadow: str = ""


NO_TRAININGS = Trainings()


class TrainingDecision(NamedTuple):
    """How to get tonight's network, and the reason in words."""

    mode: Mode
    reason: str


def built_for(
    forecast: ForecastSettings, network: NetworkSettings, covariates: Mapping[str, list[str]]
) -> dict[str, Any]:
    """All that a network is built for and cannot serve otherwise: JSON, kept with each version.

    Bounds are not part of it; they are laid on the forecasts of any network. `covariates` is the panel's.
    """
    shape = forecast.model_dump(
        mode="json", include={"frequency", "horizon", "time_zone", "season_lengths", "quantile_levels"}
    )
    if forecast.holidays:
        shape["holidays"] = forecast.holidays
    shape |= covariates
    return shape | {f"network.{key}": value for key, value in network.model_dump(mode="json").items()}


def decide_training(
    policy: Policy,
    champion: ChampionFacts | None,
    *,
    wanted: Mapping[str, Any],
    cutoff: datetime,
    unknown_share: float,
    loss_state: str,
    settings: TrainingSettings,
    degraded_since: datetime | None = None,
    trainings: Trainings = NO_TRAININGS,
) -> TrainingDecision:
    """Decide how to get the network for one night.

    Under "auto" the first that holds decides: no champion that can be read and fits, degraded forecasts or a
    champion of `retrain_after_days`: from scratch. Many unknown series or a champion of `warm_after_days`:
    continue it. Otherwise it is loaded.

    What was trained already is not trained again night after night, also where the champion stayed: from scratch once
    after the loss degraded, and again when `again_after_days` have passed; for age no sooner than `retrain_after_days`
    after the last time, and not while a challenger is still being judged. A champion is continued again when
    `warm_after_days` have passed.

    Args:
        policy: "scratch" always trains, "warm" continues where it can, "never" only loads.
        champion: The facts of the job's champion, or None.
        wanted: What tonight needs, from `built_for`.
        cutoff: The last timestamp that tonight may see, with a zone.
        unknown_share: Share of tonight's series that the champion has not learnt from, in [0, 1].
        loss_state: What the watch last said: "degraded", "ok" or "not evaluated".
        settings: The ages and the share at which "auto" trains.
        degraded_since: The first evaluation of those on which the loss has been degraded without a break.
        trainings: What was trained before tonight.

    Raises:
        InputError: where "never" finds no champion that can serve tonight.
    """
    obstacle = _obstacle(champion, wanted, cutoff)
    if policy == "scratch":
        return TrainingDecision("scratch", "asked for")
    if champion is None or obstacle is not None:
        if policy == "never":
            later = "Give a later cutoff, or run" if champion and champion.trained_until > cutoff else "Run"
            raise InputError(
                f"Training policy 'never' has nothing to load: {obstacle}. {later} once with --train scratch."
            )
        return TrainingDecision("scratch", str(obstacle))
    if policy == "never":
        return TrainingDecision("load", f"asked for: {champion.version} as it is")
    if policy == "warm":
        return TrainingDecision("warm", f"asked for: from {champion.version}")
    return _by_need(champion, cutoff, unknown_share, loss_state, settings, degraded_since, trainings)


def _by_need(
    champion: ChampionFacts,
    cutoff: datetime,
    unknown_share: float,
    loss_state: str,
    settings: TrainingSettings,
    degraded_since: datetime | None,
    trainings: Trainings,
) -> TrainingDecision:
    """What "auto" does with a champion that can serve tonight."""
    version, age = champion.version, (cutoff - champion.trained_until) / timedelta(days=1)
    anew, continued = (_days(cutoff, last) for last in (trainings.from_scratch, trainings.continued))
    word = ""
    if loss_state == "degraded":
        tried = degraded_since is not None and anew <= _days(cutoff, degraded_since)
        if not tried:
            return TrainingDecision("scratch", f"forecasts are degraded under {version}")
        if anew >= settings.again_after_days:
            again = f"{anew:.0f} days after the last training from scratch, again_after_days is"
            return TrainingDecision(
                "scratch", f"forecasts are still degraded under {version}, {again} {settings.again_after_days:g}"
            )
        word = f"; forecasts are degraded, and a network was trained from scratch {anew:.0f} days ago"
    limit = settings.retrain_after_days
    if age >= limit and anew >= limit and not trainings.in_shadow:
        return TrainingDecision("scratch", f"{version} is {age:.0f} days old, retrain_after_days is {limit:g}{word}")
    limit = settings.warm_after_days
    if unknown_share >= settings.new_series_share and continued >= limit:
        return TrainingDecision("warm", f"{version} does not know {unknown_share:.0%} of the series{word}")
    if age >= limit and continued >= limit:
        return TrainingDecision("warm", f"{version} is {age:.0f} days old, warm_after_days is {limit:g}{word}")
    due = age >= limit or unknown_share >= settings.new_series_share
    known = "and was continued of late" if due else "and knows the series"
    return TrainingDecision("load", f"{version} is {age:.0f} days old {known}{word}")


def _days(cutoff: datetime, before: datetime | None) -> float:
    """Days since then; infinitely many where there was no then."""
    return float("inf") if before is None else (cutoff - before) / timedelta(days=1)


def _obstacle(champion: ChampionFacts | None, wanted: Mapping[str, Any], cutoff: datetime) -> str | None:
    """Why the champion cannot serve tonight, or None where it can."""
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
