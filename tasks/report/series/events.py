"""Events of the days on a page: public holidays, and known-future columns that say yes or no, such as promotions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.arrays import IntArray
from models.calendar.frequency import DAY
from models.calendar.grid import TimeGrid
from models.calendar.public_holidays import holiday_names
from models.panel.panel import Panel

_MOST_COLUMNS = 4


def holidays_between(panel: Panel, first_index: int, last_index: int) -> list[list[Any]]:
    """The public holidays of the job's places as pairs of a place on the page, from 0, and a name."""
    if not panel.holidays or not _is_short(panel.grid):
        return []
    days = panel.grid.to_local(np.arange(first_index, last_index + 1)).to_numpy().astype("M8[D]")
    names = holiday_names(days[0], days[-1], panel.holidays)
    return [[place, names[day]] for place, day in enumerate(days.tolist()) if day in names]


def yes_or_no(panel: Panel, rows: IntArray, steps: int) -> tuple[list[str], npt.NDArray[np.uint8]]:
    """The known-future columns that are 0 or 1 wherever they are known.

    Args:
        panel: The series.
        rows: Shape (chosen,), positions in the panel; -1 for a series without columns, such as an aggregate.
        steps: How many steps before the horizon to give.

    Returns:
        The columns' names, and a bit for each step, oldest first: shape (column, chosen, bytes), packed.
    """
    length = steps + panel.horizon
    if panel.known_future is None:
        return [], np.zeros((0, len(rows), (length + 7) // 8), np.uint8)
    ahead = panel.horizon * np.arange(1, len(panel) + 1)
    end, begin = panel.offsets[1:] + ahead, panel.offsets[:-1] + ahead - panel.horizon
    place = end[rows][:, None] - length + np.arange(length)
    inside = (place >= begin[rows][:, None]) & (rows >= 0)[:, None]
    place = np.where(inside, place, 0)
    names, masks = list[str](), []
    for number, name in enumerate(panel.known_future_names):
        values = np.where(inside, panel.known_future[place, number], np.nan)
        known = values[~np.isnan(values)]
        if len(names) < _MOST_COLUMNS and np.isin(known, (0, 1)).all() and known.any():
            names.append(name)
            masks.append(np.packbits(values == 1, axis=1))
    return names, np.array(masks, np.uint8).reshape(len(names), len(rows), (length + 7) // 8)


def _is_short(grid: TimeGrid) -> bool:
    """Whether a step lies in one day."""
    unit, size, *_ = grid.rule
    return unit == "business" or (unit in ("elapsed", "clock") and size <= DAY)
