"""The plot of all nights of a job on one axis of time: losses, the statistic and its limit, alerts, and versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np

from tasks.report.drawing.axes import (
    ALARM,
    FONT,
    INK,
    LINE,
    MODEL,
    MUTED,
    NAIVE,
    Axes,
    Box,
    Stroke,
    Values,
    as_days,
    as_numbers,
    stroke_at,
    svg_of,
    text_at,
)
from tasks.report.drawing.ticks import Ticks, date_ticks, number_ticks

# Heights in pixels: of a panel with a line, of a lane of alerts, of the versions, of a panel's title, of the dates.
_PANEL, _LANE, _STRIP, _TITLE, _DATES = 128.0, 32.0, 16.0, 32.0, 34.0
_LEFT, _RIGHT = 46.0, 10.0
_FEW, _LONGEST_NAME = 15, 40
_DASHES = (4.0, 2.0)
# Room above the values, as a share of their range.
_MARGIN = 0.05


@dataclass(frozen=True)
class Span:
    """A bar from one local time to another; `is_open` bars have the stronger colour."""

    begin: datetime
    end: datetime
    is_open: bool


@dataclass(frozen=True)
class Lane:
    """The alerts of one segment and signal."""

    name: str
    spans: Sequence[Span]


@dataclass(frozen=True)
class Timeline:
    """What is drawn. All times are local and have no zone; figures are None where there is none.

    Attributes:
        nights: Shape (night,), oldest first.
        loss: Shape (night,).
        baseline: Shape (night,), the loss of the seasonal naive.
        statistic: Shape (night,).
        limit: Shape (night,).
        pages: Shape (night,), the address of each night's page; "" for none.
        hindcast_nights: Shape (past,), before the first night.
        hindcast_loss: Shape (past,).
        lanes: Alerts, the most important first.
        versions: Who forecast, each version one span.
    """

    nights: Sequence[datetime]
    loss: Values
    baseline: Values
    statistic: Values
    limit: Values
    pages: Sequence[str]
    hindcast_nights: Sequence[datetime] = ()
    hindcast_loss: Values = ()
    lanes: Sequence[Lane] = ()
    versions: Sequence[Span] = field(default_factory=tuple)

    @property
    def period(self) -> tuple[datetime, datetime]:
        """The first and the last evaluation."""
        return [*self.hindcast_nights, *self.nights][0], [*self.hindcast_nights, *self.nights][-1]


def timeline(shown: Timeline, width: int) -> str:
    """One `<svg>`, its text of the same size whatever its width.

    Args:
        shown: What is drawn.
        width: In pixels of the page.
    """
    rows = [("Loss", _PANEL, _losses(shown)), ("Statistic of the rule, and its limit", _PANEL, _statistic(shown))]
    if shown.lanes:
        rows.append(("Alerts, from onset to close", _LANE * len(shown.lanes), _alerts(shown.lanes, shown.period)))
    rows.append(("Model versions", _STRIP, _versions(shown.versions)))
    first, last = as_days(shown.period)
    room = max(0.5, 0.01 * (last - first))
    ends = first - room, last + room
    dates = date_ticks(*ends, max(4, int(width / 130)))
    parts, top = list[str](), 0.0
    for title, tall, axes in rows:
        box = Box(_LEFT, top + _TITLE, width - _LEFT - _RIGHT, tall)
        top = box.top + tall
        parts.append(text_at(0, box.top - 9, title, MUTED))
        parts += _lines(axes, dates, box, ends)
        parts.append(axes.svg(box, ends, axes.y.ends(_MARGIN)))
    for place, label in zip(_across(dates.places, box, ends), dates.labels, strict=True):
        parts.append(text_at(place, top + 1.3 * FONT, label, MUTED, "middle"))
    parts.append(text_at(width - _RIGHT, top + 2.6 * FONT, dates.note, MUTED, "end"))
    return svg_of(width, top + _DATES, parts)


def _lines(axes: Axes, dates: Ticks, box: Box, ends: tuple[float, float]) -> Iterator[str]:
    """Lines at the dates and at the levels of the panel, these with their labels."""
    for x in _across(dates.places, box, ends):
        yield stroke_at([(x, box.top), (x, box.top + box.height)], Stroke(LINE, 0.7, opacity=0.6))
    low, high = axes.y.ends(_MARGIN)
    levels = axes.y.ticks(low, high)
    for place, label in zip(levels.places, levels.labels, strict=True):
        y = box.top + box.height * (high - place) / (high - low)
        yield stroke_at([(box.left, y), (box.left + box.width, y)], Stroke(LINE, 0.7))
        yield text_at(box.left - 0.3 * FONT, y + 0.35 * FONT, label, MUTED, "end")


def _across(places: Sequence[float], box: Box, ends: tuple[float, float]) -> list[float]:
    return [box.left + box.width * (place - ends[0]) / (ends[1] - ends[0]) for place in places]


def _losses(shown: Timeline) -> Axes:
    axes, nights, loss = Axes(), as_days(shown.nights), as_numbers(shown.loss)
    dots = 3.5 * (len(nights) < _FEW)
    axes.line(as_days(shown.hindcast_nights), as_numbers(shown.hindcast_loss), Stroke(MUTED, 1.3))
    axes.line(nights, as_numbers(shown.baseline), Stroke(NAIVE, 1.2, _DASHES, dots))
    axes.line(nights, loss, Stroke(MODEL, 1.8, dots=dots))
    # A loss has no mark of its own that a mouse could hit.
    axes.links(nights, loss, Stroke(MODEL, 0.0, dots=8.0, opacity=0.01), shown.pages)
    return _from_zero(axes)


def _statistic(shown: Timeline) -> Axes:
    axes, nights, values = Axes(), as_days(shown.nights), as_numbers(shown.statistic)
    limits = as_numbers(shown.limit)
    axes.line(nights, limits, Stroke(ALARM, 1.2, _DASHES, 6.0 * (len(nights) < 2)))
    axes.line(nights, values, Stroke(INK, 1.1))
    above = values > np.where(np.isfinite(limits), limits, 1.0)
    # Each night leads to its page.
    for chosen, stroke in (
        (~above, Stroke(INK, 0.0, dots=3.0)),
        (above, Stroke(ALARM, 0.0, dots=5.0, cap="square")),
    ):
        pages = [page for page, wanted in zip(shown.pages, chosen, strict=True) if wanted]
        axes.links(nights[chosen], values[chosen], stroke, pages)
    axes.y.high = max(1.25, axes.y.ends(_MARGIN)[1])
    return _from_zero(axes)


def _alerts(lanes: Sequence[Lane], period: tuple[datetime, datetime]) -> Axes:
    axes = _without_levels(Axes(), float(len(lanes)))
    for row, lane in enumerate(lanes, 1):
        # The name stands above its bars: from their begin to the right, or from their end to the left.
        first, last = min(bar.begin for bar in lane.spans), max(bar.end for bar in lane.spans)
        is_late = first - period[0] > 0.55 * (period[1] - period[0])
        name = lane.name if len(lane.name) <= _LONGEST_NAME else f"{lane.name[: _LONGEST_NAME - 1]}…"
        middle = len(lanes) - row + 0.25
        axes.text(as_days([last if is_late else first])[0], middle + 0.25, name, "end" if is_late else "start")
        for bar in lane.spans:
            height = as_numbers([middle, middle])
            axes.line(as_days([bar.begin, bar.end]), height, Stroke(ALARM, 7.0, opacity=1 if bar.is_open else 0.45))
    return axes


def _versions(spans: Sequence[Span]) -> Axes:
    axes = _without_levels(Axes(), 1.0)
    for span in spans:
        begin, end = as_days([span.begin, span.end])
        axes.span(begin, end, MODEL, 0.75 if span.is_open else 0.35)
    return axes


def _without_levels(axes: Axes, high: float) -> Axes:
    axes.y.low, axes.y.high, axes.y.ticks = 0.0, high, lambda *_: Ticks([], [])
    return axes


def _from_zero(axes: Axes) -> Axes:
    axes.y.low, axes.y.ticks = min(0.0, axes.y.ends(_MARGIN)[0]), partial(number_ticks, most=4)
    return axes
