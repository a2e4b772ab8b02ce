"""Diagnosis of a degradation: the most likely cause that the figures of the night point to."""

from __future__ import annotations

from collections.abc import Collection

# Share of the series that are new since the onset, from which they are named as the cause.
NEW_SHARE = 0.1


def diagnose(
    segment: str, degraded: Collection[str], watched: int, bias: float | None, stale: bool, new_series: int, series: int
) -> str:
    """The most likely cause of a degradation, in words; "" where the figures point to none.

    Args:
        segment: The segment that got worse.
        degraded: All segments in which the same signal is degraded tonight.
        watched: Number of segments that are watched, without the whole job.
        bias: Effect of the segment's bias where that is degraded: above 0, forecasts lie above the actuals.
        stale: Whether the source has delivered nothing new for too long.
        new_series: Number of series that are new since the onset.
        series: Number of series tonight.

    >>> diagnose("all", ["all"], 3, -0.4, False, 0, 20)
    'the level of the actuals has risen'
    """
    if stale:
        return "the source is stale"
    if series and new_series / series >= NEW_SHARE:
        return f"{new_series} of {series} series are new since"
    if bias is not None:
        return f"the level of the actuals has {'fallen' if bias > 0 else 'risen'}"
    parts = [each for each in degraded if each != "all"]
    if len(parts) == 1 and watched > 1 and segment in ("all", *parts):
        return f"{parts[0]} alone" if segment == "all" else "this segment alone"
    return ""
