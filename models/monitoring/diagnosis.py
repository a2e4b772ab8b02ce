"""Why forecasts most likely got worse, where the figures of the night say."""

from __future__ import annotations

from collections.abc import Collection

# Share of the series that came since a degradation began, from which they are named as its reason.
NEW_SHARE = 0.1


def likely_reason(
    segment: str, degraded: Collection[str], watched: int, bias: float | None, stale: bool, new_series: int, series: int
) -> str:
    """The likeliest reason, in words; "" where nothing says.

    Args:
        segment: The one that got worse.
        degraded: All segments in which the same signal is worse tonight.
        watched: How many segments are watched, beside the whole job.
        bias: What its forecasts have come to lie above (or below) the actuals, where they do.
        stale: Whether the source has had no new value for long.
        new_series: How many series came since the onset.
        series: How many there are.

    >>> likely_reason("all", ["all"], 3, -0.4, False, 0, 20)
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
