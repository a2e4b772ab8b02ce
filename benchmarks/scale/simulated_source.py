"""The simulated sources whose nights are measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.shared.simulated_history import HORIZON, LAST_DAY


@dataclass(frozen=True)
class Made:
    """A made-up source.

    Attributes:
        name: In the figures.
        series: How many.
        steps: Length of each.
        step: "D" or "h".
        horizon: Of its job.
        segment: The same.
    """

    name: str
    series: int
    steps: int
    step: str = "D"
    horizon: int = HORIZON
    segment: int = 7

    @property
    def length(self) -> timedelta:
        """Of a step."""
        return timedelta(days=1) if self.step == "D" else timedelta(hours=1)

    @property
    def cutoff(self) -> datetime:
        """The last step that the source holds."""
        return datetime.combine(LAST_DAY + timedelta(days=1), datetime.min.time(), UTC) - self.length
