"""How long a source, or one of its series, may be without a value."""

from __future__ import annotations

from math import ceil, floor

from models.calendar.grid import TimeGrid
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings

STALE_DAYS = 3
DEAD_DAYS = 56


def late_steps(newest: int, cutoff: int | None, newest_over: int) -> int:
    """Whole steps without a value of any series.

    Args:
        newest: Grid position of the newest value.
        cutoff: Grid position of the cutoff that the user asked for, up to which values are expected. None where the
            user named none: values are then expected up to `newest_over`.
        newest_over: Grid position of the newest step that is over.

    >>> late_steps(0, None, 4)
    4
    """
    return max(0, (newest_over if cutoff is None else cutoff) - newest)


def stale_after(grid: TimeGrid, audit: AuditSettings) -> int:
    """Steps without a value after which a source is stale.

    With several steps a day, one missing day is noticed; with days, a weekend may pass.

    >>> [stale_after(TimeGrid(frequency), AuditSettings()) for frequency in ("15min", "h", "D", "B", "W", "MS")]
    [96, 24, 3, 2, 1, 1]
    """
    if audit.stale_after_steps is not None:
        return audit.stale_after_steps
    if grid.steps_per_day > 1:
        return ceil(grid.steps_per_day)
    return max(1, floor(STALE_DAYS * grid.steps_per_day + 1e-9))


def dead_after(grid: TimeGrid, forecast: ForecastSettings, audit: AuditSettings) -> int:
    """Steps without a value after which a series is dead.

    >>> frequencies = {"h": 24, "D": 28, "W": 13, "MS": 12}.items()
    >>> [dead_after(TimeGrid(f), ForecastSettings(frequency=f, horizon=n), AuditSettings()) for f, n in frequencies]
    [1344, 56, 52, 24]
    """
    seasons = forecast.season_lengths or grid.default_season_lengths
    return audit.dead_after_steps or max(2 * forecast.horizon, ceil(DEAD_DAYS * grid.steps_per_day), *seasons)
