"""The simulated sources whose nights are measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.shared.simulated_history import HORIZON, LAST_DAY


@dataclass(frozen=True)
class SimulatedSource:
    """A source, and what its job says of it.

    Attributes:
        name: In the figures.
        series: Number of series.
        steps: Length of each.
        step: "D" or "h".
        horizon: The job's.
        segment: The job's.
    """

    name: str
    series: int
    steps: int
    step: str = "D"
    horizon: int = HORIZON
    segment: int = 7

    @property
    def step_length(self) -> timedelta:
        return timedelta(days=1) if self.step == "D" else timedelta(hours=1)

    @property
    def cutoff(self) -> datetime:
        """The last step of the source."""
        return datetime.combine(LAST_DAY + timedelta(days=1), datetime.min.time(), UTC) - self.step_length

    @property
    def earlier_cutoff(self) -> datetime:
        """A horizon before it."""
        return self.cutoff - self.horizon * self.step_length


def sources(series: list[int], days: int, hourly: int) -> list[SimulatedSource]:
    """Daily sources, smallest first, and one of hourly series unless `hourly` is 0."""
    found = [SimulatedSource(str(number), number, days) for number in sorted(series)]
    if hourly:
        found.append(SimulatedSource(f"hourly_{hourly}", hourly, 365 * 24, "h", 48, 24))
    return found
