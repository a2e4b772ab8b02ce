"""A proposal for a job: what the columns of a source seem to mean, and what is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


class GuideError(ValueError):
    """No job can be proposed; the message says what was found, and what to name or change."""


@dataclass(frozen=True)
class Wishes:
    """What the user says; an empty wish leaves it to the rows.

    Attributes:
        series_id: Columns that identify the series.
        timestamp: Column of the time.
        value: Column of the value.
        horizon: Number of steps to forecast.
        time_zone: Zone of times without one, and of the days.
    """

    series_id: tuple[str, ...] = ()
    timestamp: str | None = None
    value: str | None = None
    horizon: int | None = None
    time_zone: str | None = None


class Doubt(NamedTuple):
    """Something that the rows leave open: the key of the job file, and why."""

    key: str
    why: str


@dataclass
class Columns:
    """The meaning of the columns, as `source` of a job file names them.

    Attributes:
        series_id: Columns that identify the series; empty where there is a single series without an id.
        doubts: What is open.
        left_out: Columns that the job does not use, each with the reason.
    """

    timestamp: str
    value: str = ""
    series_id: list[str] = field(default_factory=list)
    static: list[str] = field(default_factory=list)
    static_numbers: list[str] = field(default_factory=list)
    known_future: list[str] = field(default_factory=list)
    observed_past: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def used(self) -> set[str]:
        """Every column that the job uses."""
        covariates = (*self.static, *self.static_numbers, *self.known_future, *self.observed_past)
        return {self.timestamp, self.value, *self.series_id, *covariates}

    def doubt(self, key: str, why: str) -> None:
        """Note what is open."""
        self.doubts.append(Doubt(key, why))


class Range(NamedTuple):
    """What the sample holds: rows, series, the first and last time with a value, and the least and largest value."""

    rows: int
    series: int
    first: datetime
    last: datetime
    least: float
    largest: float


@dataclass(frozen=True)
class Proposal:
    """A proposal for the parts `source` and `forecast` of a job file.

    Attributes:
        where: The source in words.
        whole: Whether all of its rows were looked at.
        columns: What they mean.
        frequency: A pandas offset alias.
        origin: One step in local time, where the grid needs one.
        horizon: Number of steps.
        time_zone: Of the days, and of times without one.
        seasons: The seasons that a job has by default at this frequency, in steps.
        lower_bound: 0 where no value is below it; None otherwise.
        found: What the sample holds.
    """

    where: str
    whole: bool
    columns: Columns
    frequency: str
    origin: str | None
    horizon: int
    time_zone: str
    seasons: tuple[int, ...]
    lower_bound: float | None
    found: Range

    def to_dict(self) -> dict[str, Any]:
        """The proposal as JSON."""
        document = asdict(self)
        columns = document.pop("columns")
        doubts = [doubt._asdict() for doubt in self.columns.doubts]
        found = {
            **self.found._asdict(),
            "first": self.found.first.isoformat(),
            "last": self.found.last.isoformat(),
        }
        return {**document, **columns, "doubts": doubts, "seasons": list(self.seasons), "found": found}


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first of some names, for a message.

    >>> listed("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    every = list(names)
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")
