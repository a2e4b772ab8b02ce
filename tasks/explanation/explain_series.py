"""What moved the published forecast of one series, in its own units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.arrays import FloatArray
from models.explanation.changes import flags, future_positions, usual_values
from models.explanation.explain import Explanation, Part, explain
from models.panel.panel import Panel
from tasks.explanation.again import Again


@dataclass(frozen=True)
class Figure:
    """One line of an explanation.

    Attributes:
        kind: level, season, column, holidays, without_all, rest, changed_since or forecast.
        name: Its name for people.
        by_step: Shape (horizon,), in units of the series.
        how: What was taken out, and how; for people.
    """

    kind: str
    name: str
    by_step: FloatArray
    how: str

    def at(self, step: int | None) -> float:
        """The figure of a step, from 1; None for the mean of all steps."""
        return float(self.by_step.mean() if step is None else self.by_step[step - 1])


def explain_series(again: Again) -> list[Figure]:
    """What moved the forecast of the only series of `again`: figures that add up to what was published."""
    holidays = again.forecaster.vocabulary.holidays
    found = explain(again.panel, again.medians, again.known_ahead, holidays)
    return figures_of(found, again.panel, again.published[0], changed=bool(again.other_rows[0]))


def figures_of(found: Explanation, panel: Panel, published: FloatArray, *, changed: bool) -> list[Figure]:
    """The explanation of a panel's only series as figures.

    Args:
        found: What forecasting again gave.
        panel: The series.
        published: Shape (horizon,), the medians that were published.
        changed: Whether the forecast from today's rows is another one than the published one.
    """
    lines = [Figure("without_all", "all taken out", found.without_all[0], "all of the following at once")]
    lines += [Figure(part.kind, part_name(part), part.effect[0], _how(part, panel)) for part in found.parts]
    lines.append(Figure("rest", "rest", found.rest[0], "the parts act together and need not add up"))
    if changed:
        how = "the source or the job has changed since that night"
        lines.append(Figure("changed_since", "changed since", published - found.forecast[0], how))
    total = published if changed else found.forecast[0]
    return [*lines, Figure("forecast", "forecast", total, "the published median")]


def part_name(part: Part) -> str:
    """The name of a part for people."""
    return f"public holidays {part.name}" if part.kind == "holidays" else part.name


def describe_rule(values: Sequence[float], season: int) -> str:
    """How the fallback forecasts a series, for people.

    Args:
        values: The middle of the forecast of the next season, one value for each step.
        season: Its length in steps.

    >>> describe_rule([2.0, 0.0, 1.0], 3)
    'each step takes the newest value of its place in the season of 3 steps: 2, 0, 1, and again from step 4 on'
    >>> describe_rule([4.5], 1)
    'each step takes the newest value: 4.5'
    """
    shown = [f"{value:.4g}" for value in values[:season]]
    if season == 1:
        return f"each step takes the newest value: {shown[0]}"
    if season > 14:
        shown = [*shown[:7], "..."]
    rule = f"each step takes the newest value of its place in the season of {season} steps: {', '.join(shown)}"
    return f"{rule}, and again from step {season + 1} on"


def _how(part: Part, panel: Panel) -> str:
    season = panel.season_lengths[0]
    if part.kind == "level":
        return f"the newest {season} steps moved to the mean level of the {season} before"
    if part.kind == "season":
        return "history without its mean seasonal pattern, calendar at its mean over a year"
    if part.kind == "holidays":
        return "no public holiday ahead"
    place = panel.known_future_names.index(part.name)
    assert panel.known_future is not None
    ahead = panel.known_future[future_positions(panel)[0], place]
    usual = usual_values(panel)[0, place]
    differ = int((ahead != usual).sum())
    if not differ:
        return f"{usual:.4g} at every step ahead already"
    told = "0, and not 1," if flags(panel)[place] else f"its mean, {usual:.4g},"
    return f"{told} at {differ} of {len(ahead)} steps ahead"


def to_rows(figures: Sequence[Figure], step: int | None) -> list[Mapping[str, Any]]:
    """The figures of a step, or the means of all steps, as rows of a table."""
    signed = {"level", "season", "column", "holidays", "rest", "changed_since"}
    return [
        {"part": each.name, "value": _number(each.at(step), signed=each.kind in signed), "taken out": each.how}
        for each in figures
    ]


def _number(value: float, *, signed: bool) -> str:
    if abs(value) < 5e-5 or np.isnan(value):
        return "0" if value == value else "-"
    return f"{value:+.4g}" if signed else f"{value:.4g}"
