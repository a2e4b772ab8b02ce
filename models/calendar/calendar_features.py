"""Calendar features of each step of a grid, as numbers that a network can read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.arrays import Float32Array, FloatArray
from models.calendar.frequency import DAY, DAYS_OF_YEAR, MONTHS, WEEKDAYS
from models.calendar.grid import TimeGrid


def calendar_features(grid: TimeGrid, first_index: int, last_index: int) -> tuple[Float32Array, tuple[str, ...]]:
    """Calendar features of the grid positions from `first_index` to `last_index`, both included.

    | step | features |
    |---|---|
    | below a day | time of day (two harmonics), weekday (one of seven) |
    | one to six days, business day | weekday (one of seven), time of year (two harmonics), day of the month |
    | a week or more | time of year (two harmonics) |
    | months | month (one of twelve) |
    | quarters | quarter (one of four) |
    | years | none |

    Args:
        grid: The grid; the features follow the local time of its zone.
        first_index: The first position.
        last_index: The last position.

    Returns:
        Shape (last_index - first_index + 1, feature), float32 in [-1, 1], and the features' names.

    Raises:
        ValueError: where `last_index` lies before `first_index`.

    >>> calendar_features(TimeGrid("QS"), 0, 1)
    (array([[1., 0., 0., 0.],
           [0., 1., 0., 0.]], dtype=float32), ('quarter_1', 'quarter_2', 'quarter_3', 'quarter_4'))
    """
    if last_index < first_index:
        raise ValueError(f"last_index {last_index} lies before first_index {first_index}; give positions in order.")
    clock = grid.to_local(np.arange(first_index, last_index + 1))
    unit, size, *_ = grid.rule
    if unit == "month":
        if size % 12 == 0:
            columns = {}
        elif size % 3 == 0:
            columns = _one_of("quarter", clock.quarter - 1, ("1", "2", "3", "4"))
        else:
            columns = _one_of("month", clock.month - 1, MONTHS)
    elif unit == "business" or DAY <= size < 7 * DAY:
        columns = _weekday(clock) | _time_of_year(clock) | {"day_of_month": clock.day.to_numpy() / 31}
    elif size >= 7 * DAY:
        columns = _time_of_year(clock)
    else:
        share = (clock - clock.normalize()) / pd.Timedelta(days=1)
        columns = _harmonics("time_of_day", share.to_numpy()) | _weekday(clock)
    features = np.stack(list(columns.values()), axis=1) if columns else np.empty((len(clock), 0))
    return features.astype(np.float32), tuple(columns)


def _weekday(clock: pd.DatetimeIndex) -> dict[str, FloatArray]:
    return _one_of("weekday", clock.day_of_week, WEEKDAYS)


def _time_of_year(clock: pd.DatetimeIndex) -> dict[str, FloatArray]:
    return _harmonics("time_of_year", (clock.day_of_year.to_numpy() - 1) / DAYS_OF_YEAR)


def _harmonics(name: str, cycles: FloatArray) -> dict[str, FloatArray]:
    """Sine and cosine of one and two turns a cycle; `cycles` of shape (n,) in cycles."""
    return {
        f"{name}_{wave}_{turns}": function(2 * np.pi * turns * cycles)
        for turns in (1, 2)
        for wave, function in (("sin", np.sin), ("cos", np.cos))
    }


def _one_of(name: str, which: pd.Index, labels: tuple[str, ...]) -> dict[str, FloatArray]:
    """One column per label, 1 where `which` (shape (n,), counted from 0) is it."""
    position = which.to_numpy()
    return {f"{name}_{label.lower()}": (position == i).astype(np.float64) for i, label in enumerate(labels)}
