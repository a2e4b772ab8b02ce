"""What moved a forecast: level, season, and what is known ahead, each by forecasting again without it.

    forecast = everything taken out + parts + rest

Each part is the forecast minus the forecast without one thing. The rest is what the parts do not add up to: they act
together, since a network is not a sum of its inputs.

Source: Covert, Lundberg & Lee (2021), Explaining by Removing, JMLR 22(209), arXiv 2011.14878. What is removed takes its
usual value; the summary of a part is the difference in the forecast, as of a leave-one-out (occlusion) method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.arrays import FloatArray
from models.explanation.changes import (
    future_positions,
    usual_values,
    with_future,
    without_level_change,
    without_season,
)
from models.network.features import Unseen
from models.panel.panel import Panel

Medians = Callable[[Panel, frozenset[Unseen]], FloatArray]
"""Forecasts a panel without some inputs of the time grid; gives medians of shape (series, horizon)."""


@dataclass(frozen=True)
class Part:
    """What one thing adds to a forecast.

    Attributes:
        kind: What was taken out.
        name: Its name: that of the column, or the places of the holidays.
        effect: Shape (series, horizon), the forecast minus the forecast without it, in units of the series.
    """

    kind: Literal["level", "season", "column", "holidays"]
    name: str
    effect: FloatArray


@dataclass(frozen=True)
class Explanation:
    """What moved the forecasts of some series.

    Attributes:
        forecast: Shape (series, horizon), the medians.
        without_all: Shape (series, horizon), the medians with everything taken out at once.
        parts: The parts, each with its effect.
    """

    forecast: FloatArray
    without_all: FloatArray
    parts: tuple[Part, ...]

    @property
    def rest(self) -> FloatArray:
        """Shape (series, horizon): what is left of the forecast after `without_all` and the parts."""
        added = sum((part.effect for part in self.parts), np.zeros_like(self.forecast))
        return np.asarray(self.forecast - self.without_all - added)


def explain(panel: Panel, medians: Medians, columns: Sequence[str] = (), holidays: Sequence[str] = ()) -> Explanation:
    """Forecast once as it is, once without each thing, and once without all of them.

    Args:
        panel: The series, with what was known at the cutoff.
        medians: Forecasts them.
        columns: The known-future columns that the network has learnt from.
        holidays: The places whose public holidays it sees.
    """
    forecast, nothing = medians(panel, frozenset()), frozenset[Unseen]()
    level, season = without_level_change(panel), without_season(panel)
    parts = [
        Part("level", "level", forecast - medians(level, nothing)),
        Part("season", "season", forecast - medians(season, frozenset({"calendar"}))),
    ]
    bare = without_season(level)
    for name in columns:
        place = panel.known_future_names.index(name)
        usual = usual_values(panel)[:, place]
        # Most columns are as usual most of the time, and the forecast is then the same.
        if _is_usual(panel, place, usual):
            effect = np.zeros_like(forecast)
        else:
            effect = forecast - medians(with_future(panel, name, usual), nothing)
            bare = with_future(bare, name, usual)
        parts.append(Part("column", name, effect))
    if holidays:
        effect = forecast - medians(panel, frozenset({"holidays"}))
        parts.append(Part("holidays", ", ".join(holidays), effect))
    return Explanation(forecast, medians(bare, frozenset({"calendar", "holidays"})), tuple(parts))


def _is_usual(panel: Panel, place: int, usual: FloatArray) -> bool:
    assert panel.known_future is not None
    ahead = panel.known_future[future_positions(panel), place]
    return bool(np.array_equal(ahead, np.broadcast_to(usual[:, None], ahead.shape).astype(ahead.dtype), equal_nan=True))
