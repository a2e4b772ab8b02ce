"""The limits that the year must keep, and whether it kept them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """The highest value that a figure of the year may have.

    Attributes:
        title: What is required.
        figure: The figure's name.
        most: The highest value.
    """

    title: str
    figure: str
    most: float


LIMITS = (
    Limit("every series has every step of every night", "missing_rows", 0),
    Limit("and has it once", "doubled_rows", 0),
    Limit("alerts of nothing that happened", "false_alerts", 1),
    Limit("nights until the drift is found", "nights_to_drift", 14),
    Limit("nights until the shift is found", "nights_to_shift", 14),
    Limit("stale input is found the same night", "nights_to_stale", 1),
    Limit("points between a level and its share of actuals", "coverage_error", 2),
    Limit("the report of any night can still be made", "reports_not_made", 0),
)


@dataclass(frozen=True)
class Verdict:
    """A limit beside the value that was reached; None if that is unknown, as when something was never found."""

    limit: Limit
    reached: float | None

    @property
    def kept(self) -> bool:
        """Whether the limit is kept; an unknown value keeps none."""
        return self.reached is not None and self.reached <= self.limit.most

    def __str__(self) -> str:
        reached = "-" if self.reached is None else f"{self.reached:.4g}"
        return f"{'kept' if self.kept else 'MISSED':<8}{self.limit.title}: {reached}, at most {self.limit.most:g}"


def verdicts_on(figures: Mapping[str, float | int | str | None], limits: Iterable[Limit] = LIMITS) -> list[Verdict]:
    """Each limit beside the figure of a year; `figures.figures_of` gives the figures."""
    found = ((limit, figures[limit.figure]) for limit in limits)
    return [Verdict(limit, None if value is None else float(value)) for limit, value in found]
