"""What a challenger and the champion have lost on the same points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PairedSums(NamedTuple):
    """Sums over the points that both versions have forecast.

    Attributes:
        n: Number of points.
        loss: The challenger's pinball losses, in units of each series' scale.
        champion_loss: The champion's.
        inside: Points inside the challenger's widest interval.
        champion_inside: Points inside the champion's.
    """

    n: float = 0.0
    loss: float = 0.0
    champion_loss: float = 0.0
    inside: float = 0.0
    champion_inside: float = 0.0

    def plus(self, other: Sequence[float]) -> PairedSums:
        """The sums over the points of both."""
        return PairedSums(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def difference(self) -> float:
        """ln(champion's loss / challenger's loss): above 0 the challenger is better; NaN without points or losses.

        >>> round(PairedSums(10, 4.5, 5.0).difference, 3)
        0.105
        """
        if not self.n or self.loss <= 0 or self.champion_loss <= 0:
            return float("nan")
        return float(np.log(self.champion_loss / self.loss))

    @property
    def effect(self) -> float:
        """The challenger's loss over the champion's, less 1: below 0 the challenger is better; NaN without losses.

        >>> round(PairedSums(10, 4.5, 5.0).effect, 3)
        -0.1
        """
        return self.loss / self.champion_loss - 1 if self.champion_loss else float("nan")

    def describe(self) -> str:
        """How the challenger's loss compares with the champion's.

        >>> PairedSums(10, 4.5, 5.0).describe()
        "loss 10.0% lower than the champion's"
        """
        if not self.n or self.champion_loss <= 0:
            return "no actuals have arrived yet"
        return f"loss {abs(self.effect):.1%} {'higher' if self.effect > 0 else 'lower'} than the champion's"
