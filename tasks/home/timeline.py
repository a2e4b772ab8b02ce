"""The plot of all nights of a job on one axis of time: losses, the statistic and its limit, alerts, and versions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tasks.report.plots import (
    ALARM,
    FONT,
    INK,
    LINE,
    MODEL,
    MUTED,
    NAIVE,
    STYLE,
    Values,
    as_numbers,
    dress,
    short_number,
)

# Heights in pixels: of a panel with a line, of a lane of alerts, of the versions, of a panel's title, of the dates.
_PANEL, _LANE, _STRIP, _TITLE, _DATES = 128.0, 32.0, 16.0, 32.0, 34.0
_LEFT, _RIGHT = 46.0, 10.0
_FEW, _LONGEST_NAME = 15, 40
_DASHES = (0, (4, 2))


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
    heights = [_PANEL, _PANEL, *([_LANE * len(shown.lanes)] if shown.lanes else []), _STRIP]
    height = sum(heights) + _TITLE * len(heights) + _DATES
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width / 72, height / 72))
        panels = _panels(figure, heights, width, height)
        _draw_losses(panels[0], shown)
        _draw_statistic(panels[1], shown)
        if shown.lanes:
            _draw_alerts(panels[2], shown.lanes, shown.period)
        _draw_versions(panels[-1], shown.versions)
        _date_axis(panels, shown, width)
        written = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    # By itself Matplotlib opens each link in a window of its own.
    return dress(written.getvalue()).replace(' target="_blank"', "")


def _panels(figure: Figure, heights: Sequence[float], width: float, height: float) -> list[Axes]:
    panels, top = list[Axes](), height
    for tall in heights:
        top -= _TITLE + tall
        place = (_LEFT / width, top / height, (width - _LEFT - _RIGHT) / width, tall / height)
        axes = figure.add_axes(place)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=MUTED, labelsize=FONT, labelbottom=False)
        axes.set_axisbelow(True)
        panels.append(axes)
    return panels


def _draw_losses(axes: Axes, shown: Timeline) -> None:
    _title(axes, "Loss")
    marker = "o" if len(shown.nights) < _FEW else ""
    nights = _dates(shown.nights)
    axes.plot(_dates(shown.hindcast_nights), as_numbers(shown.hindcast_loss), color=MUTED, linewidth=1.3)
    axes.plot(nights, as_numbers(shown.baseline), color=NAIVE, linewidth=1.2, linestyle=_DASHES, marker=marker, ms=3.5)
    axes.plot(nights, as_numbers(shown.loss), color=MODEL, linewidth=1.8, marker=marker, ms=3.5)
    # A loss has no mark of its own that a mouse could hit. Matplotlib leaves out what is wholly transparent.
    targets = axes.scatter(nights, as_numbers(shown.loss), s=60, color=MODEL, alpha=0.01, linewidths=0, zorder=4)
    targets.set_urls([page or None for page in shown.pages])
    _level_axis(axes)


def _draw_statistic(axes: Axes, shown: Timeline) -> None:
    _title(axes, "Statistic of the rule, and its limit")
    nights, values = _dates(shown.nights), as_numbers(shown.statistic)
    limits = as_numbers(shown.limit)
    axes.plot(nights, limits, color=ALARM, linewidth=1.2, linestyle=_DASHES, marker="_" if len(nights) < 2 else "")
    axes.plot(nights, values, color=INK, linewidth=1.1)
    above = values > np.where(np.isfinite(limits), limits, 1.0)
    # Each night leads to its page.
    for chosen, colour, mark, size in ((~above, INK, "o", 9.0), (above, ALARM, "s", 26.0)):
        points = axes.scatter(nights[chosen], values[chosen], s=size, color=colour, marker=mark, linewidths=0, zorder=3)
        points.set_urls([page or None for page, wanted in zip(shown.pages, chosen, strict=True) if wanted])
    _level_axis(axes)
    axes.set_ylim(top=max(1.25, axes.get_ylim()[1]))


def _draw_alerts(axes: Axes, lanes: Sequence[Lane], period: tuple[datetime, datetime]) -> None:
    _title(axes, "Alerts, from onset to close")
    axes.set_ylim(len(lanes), 0)
    axes.set_yticks([])
    for row, lane in enumerate(lanes):
        # The name stands above its bars: from their begin to the right, or from their end to the left.
        first, last = min(bar.begin for bar in lane.spans), max(bar.end for bar in lane.spans)
        is_late = first - period[0] > 0.55 * (period[1] - period[0])
        axes.annotate(
            lane.name if len(lane.name) <= _LONGEST_NAME else f"{lane.name[: _LONGEST_NAME - 1]}…",
            (_dates([last if is_late else first])[0], row),
            xytext=(0, -15),
            textcoords="offset pixels",
            horizontalalignment="right" if is_late else "left",
            fontsize=FONT,
            color=INK,
            # A name may hold a dollar sign, which would begin a formula.
            parse_math=False,
        )
        for bar in lane.spans:
            begin, end = _dates([bar.begin, bar.end])
            axes.plot(
                [begin, end], [row + 0.75] * 2, color=ALARM, alpha=1 if bar.is_open else 0.45, linewidth=7,
                solid_capstyle="butt",
            )  # fmt: skip


def _draw_versions(axes: Axes, spans: Sequence[Span]) -> None:
    _title(axes, "Model versions")
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    for span in spans:
        begin, end = _dates([span.begin, span.end])
        axes.axvspan(begin, end, color=MODEL, alpha=0.75 if span.is_open else 0.35, linewidth=0)


def _title(axes: Axes, text: str) -> None:
    axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(-_LEFT, 9),
        textcoords="offset pixels",
        fontsize=FONT,
        color=MUTED,
    )


def _level_axis(axes: Axes) -> None:
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.yaxis.set_major_formatter(FuncFormatter(short_number))
    axes.grid(axis="y", color=LINE, linewidth=0.7)


def _date_axis(panels: Sequence[Axes], shown: Timeline, width: float) -> None:
    moments = date2num(shown.period)  # type: ignore[no-untyped-call]
    room = max(0.5, 0.01 * (moments[1] - moments[0]))
    locator = AutoDateLocator(minticks=2, maxticks=max(4, int(width / 130)))  # type: ignore[no-untyped-call]
    for axes in panels:
        axes.set_xlim(moments[0] - room, moments[1] + room)
        axes.xaxis.set_major_locator(locator)
        axes.grid(axis="x", color=LINE, linewidth=0.7, alpha=0.6)
    last = panels[-1]
    last.tick_params(labelbottom=True)
    last.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    last.xaxis.get_offset_text().set_color(MUTED)


def _dates(times: Sequence[datetime]) -> Any:
    return np.array(times, dtype="datetime64[us]")
