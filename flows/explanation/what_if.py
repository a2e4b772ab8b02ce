"""Forecast a published night under other known-future values, and write the scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flows.explanation.snapshot import Asked, ask
from flows.job.job import LoadedJob
from flows.job.moments import local_day
from models.counted import counted
from sql.downstream.scenarios import replace_scenario
from sql.engine.storable import LONGEST_ID, storable
from tasks.explanation.scenario import (
    Scenario,
    ScenarioError,
    describe,
    forecast_scenario,
    parse_steps,
    parse_values,
)
from tasks.night.owner import refuse_taken_name

_MOST_LISTED = 5


@dataclass(frozen=True)
class WhatIf:
    """What somebody asks.

    Attributes:
        values: Texts such as `promotion=1`.
        series_ids: The series; none for all that the model forecast.
        steps: A text such as `1-7`, the steps at which the values are set; None for all.
        name: The scenario's name; None for what is set, in words.
        person: Who asks.
    """

    values: Sequence[str]
    series_ids: Sequence[str] = ()
    steps: str | None = None
    name: str | None = None
    person: str = ""


@dataclass(frozen=True)
class Answered:
    """A scenario that was written.

    Attributes:
        job: The job's name.
        scenario: Its name.
        cutoff: The night.
        steps: The steps at which values were set.
        rows: The rows of the table `scenario`.
        notes: Warnings, and which series were left out and why, for people.
        zone: The job's time zone.
    """

    job: str
    scenario: str
    cutoff: datetime
    steps: Sequence[int]
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    zone: ZoneInfo

    @property
    def by_step(self) -> list[dict[str, Any]]:
        """A line for each series and each step at which a value was set."""
        chosen = {*self.steps}
        return [
            {
                "series": row["series_id"],
                "step": str(row["step"]),
                "time": local_day(row["timestamp"], self.zone),
                "published": row["base_median"],
                "scenario": row["median"],
                "difference": row["median"] - row["base_median"],
            }
            for row in self.rows
            if row["step"] in chosen
        ]

    @property
    def totals(self) -> list[dict[str, Any]]:
        """A line for each series, summed over the steps at which a value was set, and one for all series."""
        sums: dict[str, list[float]] = {}
        for line in self.by_step:
            of_series = sums.setdefault(line["series"], [0.0, 0.0])
            of_series[0] += line["published"]
            of_series[1] += line["scenario"]
        if len(sums) > 1:
            sums["all"] = [sum(each[place] for each in sums.values()) for place in (0, 1)]
        return [
            {
                "series": name,
                "published": base,
                "scenario": imagined,
                "difference": imagined - base,
                "percent": 100 * (imagined / base - 1) if base else None,
            }
            for name, (base, imagined) in sums.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "job": self.job,
            "scenario": self.scenario,
            "cutoff": self.cutoff,
            "steps": [*self.steps],
            "rows": [*self.rows],
            "totals": self.totals,
            "notes": [*self.notes],
        }


def imagine(loaded: LoadedJob, cutoff: datetime | None, question: WhatIf) -> Answered:
    """Forecast a published night under other values of what is known ahead, and write the table `scenario`.

    A scenario of the same name is replaced. No other table is written, and no lock is taken.

    Args:
        loaded: The job.
        cutoff: The night; None for the newest.
        question: What is set, where.

    Raises:
        ScenarioError: what is asked for cannot be forecast.
        JobError: no such night, or no such series; names similar ones.
        NameTaken: the job file is a copy, and the name is another job's.
        DamagedVersion: the version that forecast the night is gone.
    """
    values = parse_values(question.values, loaded.job.source)
    refuse_taken_name(loaded.job, loaded.places, loaded.path)
    asked = ask(loaded, cutoff, question.series_ids)
    steps = parse_steps(question.steps, asked.horizon)
    name = storable(question.name or describe(values, steps, asked.horizon), LONGEST_ID)
    notes = _left_to_fallback(asked, question.series_ids)
    with asked.again() as again:
        if named := [each for each in again.left_out if each in question.series_ids]:
            raise ScenarioError(f"{named[0]} cannot be forecast again: {again.left_out[named[0]]}. Leave it out.")
        imagined = forecast_scenario(again, Scenario(name, values, steps))
    notes += imagined.warnings + _listed(again.left_out)
    cutoff_of_night = asked.night.publication["cutoff"]
    rows = imagined.rows(asked.ledger.job, cutoff_of_night, datetime.now(UTC), storable(question.person))
    replace_scenario(asked.ledger.engine, rows)
    return Answered(asked.ledger.job, name, cutoff_of_night, steps, rows, notes, loaded.job.forecast.zone)


def _left_to_fallback(asked: Asked, named: Sequence[str]) -> list[str]:
    """A note on the series that the fallback forecast.

    Raises:
        ScenarioError: one of them was named, or there are no others.
    """
    fallback = asked.fallback
    if named and fallback:
        first = next(each for each in named if each in fallback)
        raise ScenarioError(
            f"{first} is forecast by the fallback ({fallback[first]}), which looks at no column. "
            "Name series that the model forecasts."
        )
    if not asked.by_model:
        raise ScenarioError("The fallback forecast every series of that night, and it looks at no column.")
    if not fallback:
        return []
    shown = ", ".join([*fallback][:_MOST_LISTED])
    return [f"{counted_series(len(fallback))} left out, which the fallback forecasts: {shown}"]


def _listed(left_out: Mapping[str, str]) -> list[str]:
    """Notes on series that could not be forecast again, one for each reason."""
    reasons: dict[str, list[str]] = {}
    for series_id, reason in left_out.items():
        reasons.setdefault(reason, []).append(series_id)
    return [
        f"{counted_series(len(ids))} left out ({reason}): {', '.join(ids[:_MOST_LISTED])}"
        for reason, ids in reasons.items()
    ]


def counted_series(number: int) -> str:
    """A number of series.

    >>> counted_series(1), counted_series(1200)
    ('1 series', '1,200 series')
    """
    return counted(number, "series").removesuffix("s") if number != 1 else "1 series"
