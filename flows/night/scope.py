"""What of a night a run does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.night.night import Part


@dataclass(frozen=True)
class Scope:
    """What of a night is done.

    Attributes:
        part: All of it, or only a part.
        promotes: Whether a network that was trained tonight may become the champion.
        tells: Whether the job's targets are told of alerts.
        in_order: Waits for the nights before, where several run at once: which model is the champion, what quantiles
            are calibrated by, and what is said of the loss depend on them; reading and training does not.
    """

    part: Part = "nightly"
    promotes: bool = True
    tells: bool = True
    in_order: Callable[[], None] = lambda: None

    @property
    def forecasts(self) -> bool:
        """Whether forecasts are published."""
        return self.part in ("nightly", "forecast")

    @property
    def judges(self) -> bool:
        """Whether what came true is judged."""
        return self.part in ("nightly", "score")


WHOLE_NIGHT = Scope()
