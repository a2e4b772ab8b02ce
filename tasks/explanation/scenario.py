"""A scenario: a published night under other values of what is known ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import numpy as np

from models.arrays import BoolArray
from models.explanation.changes import with_future
from models.panel.forecast import Forecast
from models.panel.panel import Panel
from sql.output.quantile_columns import quantile_column
from sql.source.settings import Source
from tasks.explanation.again import Again


class ScenarioError(ValueError):
    """What is asked for cannot be forecast; the message says why, and what can be."""


@dataclass(frozen=True)
class Scenario:
    """What is set, and where.

    Attributes:
        name: Its key in the table `scenario`.
        values: A value for each column.
        steps: The steps at which they are set, from 1, ascending.
    """

    name: str
    values: Mapping[str, float]
    steps: tuple[int, ...]

    def at(self, horizon: int) -> BoolArray:
        """Shape (horizon,), whether the values are set at each step."""
        return np.isin(np.arange(1, horizon + 1), self.steps)


@dataclass(frozen=True)
class Imagined:
    """The forecast of a scenario.

    Attributes:
        again: The night.
        scenario: What was set.
        forecast: The forecast of its series under the scenario.
        base: Shape (series, horizon), the medians without it.
        warnings: What the reader should know, for people.
    """

    again: Again
    scenario: Scenario
    forecast: Forecast
    base: np.ndarray[Any, np.dtype[np.float64]]
    warnings: list[str]

    def rows(self, job: str, cutoff: datetime, created_at: datetime, created_by: str) -> list[dict[str, Any]]:
        """The rows of the table `scenario`: every step of every series."""
        panel, found = self.again.panel, self.forecast
        horizon = found.mean.shape[1]
        ahead = [panel.grid.instant(panel.cutoff_index + 1 + step) for step in range(horizon)]
        chosen = self.scenario.at(horizon)
        names = [quantile_column(float(level)) for level in found.quantile_levels]
        return [
            {
                "job": job,
                "scenario": self.scenario.name,
                "series_id": str(series_id),
                "step": step + 1,
                "cutoff": cutoff,
                "timestamp": ahead[step],
                "set_values": dict(self.scenario.values) if chosen[step] else None,
                "mean": float(found.mean[row, step]),
                "median": float(found.median[row, step]),
                "base_median": float(self.base[row, step]),
                "model_version": self.again.version,
                "created_at": created_at,
                "created_by": created_by,
                **dict(zip(names, map(float, found.quantiles[row, step]), strict=True)),
            }
            for row, series_id in enumerate(found.series_ids)
            for step in range(horizon)
        ]


def forecast_scenario(again: Again, scenario: Scenario) -> Imagined:
    """Forecast the series of a published night under a scenario.

    Raises:
        ScenarioError: the version that forecast the night has not learnt from a column.
    """
    unlearnt = [column for column in scenario.values if column not in again.known_ahead]
    if unlearnt:
        raise ScenarioError(
            f"Version {again.version}, which forecast that night, has not learnt from {', '.join(unlearnt)}, so its "
            f"forecast would not change. It has learnt from {', '.join(again.known_ahead) or 'no known-future column'}."
        )
    panel, horizon = again.panel, again.published.shape[1]
    for column, value in scenario.values.items():
        panel = with_future(panel, column, value, scenario.at(horizon))
    warnings = [text for column, value in scenario.values.items() if (text := _outside(again.panel, column, value))]
    base = again.published
    if again.other_rows.any():
        base = np.where(again.other_rows[:, None], again.medians(again.panel), again.published)
        warnings.append(
            f"The source or the job has changed since that night: for {int(again.other_rows.sum())} of "
            f"{len(again.panel)} series the difference is to the forecast from what they are now."
        )
    return Imagined(again, scenario, again.forecast(panel), base, warnings)


def parse_values(written: Sequence[str], source: Source) -> dict[str, float]:
    """What to set, from texts such as `promotion=1`.

    Raises:
        ScenarioError: a text is no assignment, the column is unknown or not known ahead, or the value is no number.
    """
    values: dict[str, float] = {}
    for text in written:
        column, equals, number = (part.strip() for part in text.partition("="))
        if not (column and equals and number):
            raise ScenarioError(f"{text[:80]!r} sets nothing; write COLUMN=VALUE, such as promotion=1.")
        _require_known_ahead(column, source)
        if column in values:
            raise ScenarioError(f"{column} is set twice. Set each column once.")
        try:
            values[column] = float(number)
        except ValueError:
            values[column] = math.nan
        if not math.isfinite(values[column]):
            raise ScenarioError(f"{column} is set to {number[:80]!r}, which is no number. Write one, such as 1 or 2.5.")
    return values


def parse_steps(written: str | None, horizon: int) -> tuple[int, ...]:
    """Steps from a text such as `1-7` or `1-3,14`; all of the horizon where none is written.

    Raises:
        ScenarioError: it does not read as steps, or one lies beyond the horizon.

    >>> parse_steps("1-3,7", 28), parse_steps(None, 2)
    ((1, 2, 3, 7), (1, 2))
    """
    if written is None:
        return tuple(range(1, horizon + 1))
    steps: set[int] = set()
    for part in written.split(","):
        first, dash, last = (each.strip() for each in part.partition("-"))
        ends = (first, last if dash else first)
        if not all(each.isascii() and each.isdigit() and len(each) < 10 for each in ends):
            raise ScenarioError(f"{written[:80]!r} are no steps; write 1-7, or 1-3,14.")
        begin, end = map(int, ends)
        if not 1 <= begin <= end:
            raise ScenarioError(f"The steps {part.strip()} are empty; steps count from 1, and the first comes first.")
        if end > horizon:
            raise ScenarioError(f"Step {end} is beyond the horizon of that night, which has {horizon} steps.")
        steps |= {*range(begin, end + 1)}
    return tuple(sorted(steps))


def describe(values: Mapping[str, float], steps: Sequence[int], horizon: int) -> str:
    """What is set, in words; the name of a scenario that has no other.

    >>> describe({"promotion": 1.0, "price": 2.5}, [1, 2, 3, 7], 28)
    'promotion=1, price=2.5 at steps 1-3, 7'
    """
    told = ", ".join(f"{column}={value:.6g}" for column, value in values.items())
    if len(steps) == horizon:
        return told
    ranges: list[list[int]] = []
    for step in steps:
        if ranges and ranges[-1][-1] == step - 1:
            ranges[-1].append(step)
        else:
            ranges.append([step])
    shown = ", ".join(str(each[0]) if len(each) == 1 else f"{each[0]}-{each[-1]}" for each in ranges)
    return f"{told} at step{'' if len(steps) == 1 else 's'} {shown}"


def _require_known_ahead(column: str, source: Source) -> None:
    known = source.known_ahead
    ahead = f"known ahead are {', '.join(known)}" if known else "the job has no column that is known ahead"
    if column in known:
        return
    kinds = {"observed_past": source.observed_past, "static": source.static, "static_numbers": source.static_numbers}
    for kind, columns in kinds.items():
        if column in columns:
            raise ScenarioError(f"{column} is not known ahead: it is in source.{kind}. Set another one; {ahead}.")
    near = get_close_matches(column, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ScenarioError(f"The job has no column {column[:80]!r}.{hint} Set one that is known ahead; {ahead}.")


def _outside(panel: Panel, column: str, value: float) -> str:
    """A warning where a value lies outside all that these series have had; "" where it does not."""
    assert panel.known_future is not None
    seen = panel.known_future[:, panel.known_future_names.index(column)]
    seen = seen[~np.isnan(seen)]
    if not len(seen) or seen.min() <= value <= seen.max():
        return ""
    return (
        f"{column}={value:.6g} is outside of what these series have had, {seen.min():.6g} to {seen.max():.6g}: the "
        "network has not learnt what happens there."
    )
