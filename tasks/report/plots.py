"""Plots of the report, in the page's colours and fonts.

Each function gives one `<svg>` without a size, to be put into HTML as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import numpy as np

from models.arrays import FloatArray
from tasks.report.drawing.axes import (
    ALARM,
    CHARACTER,
    FONT,
    INK,
    LINE,
    LINE_HEIGHT,
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
from tasks.report.drawing.ticks import Ticks, as_percent, date_ticks, number_ticks

WIDTH, HEIGHT = 400, 222
# Room beyond the values, as a share of their range.
HORIZONTAL, VERTICAL = 0.01, 0.05
# So many nights have a dot each.
FEW = 15
DASHES, DOTS = (4.0, 2.0), (1.0, 2.0)
PERCENT = partial(number_ticks, label=as_percent)
STEPS = partial(number_ticks, most=8, whole=True)


def fan_chart(
    history_times: Sequence[datetime],
    history: Values,
    times: Sequence[datetime],
    median: Values,
    baseline: Values,
    quantiles: dict[float, Values],
) -> str:
    """A fan chart: the history, the median, the central intervals, and the seasonal naive.

    Args:
        history_times: Shape (past,), naive local times.
        history: Shape (past,); None where not observed.
        times: Shape (horizon,), naive local times.
        median: Shape (horizon,).
        baseline: Shape (horizon,).
        quantiles: For each level its forecast, shape (horizon,). Levels p and 1 - p form an interval.
    """
    axes, ahead, dots = Axes(), as_days(times), 4.0 * (len(times) == 1)
    for low, high in _pairs(sorted(quantiles)):
        ends = as_numbers(quantiles[low]), as_numbers(quantiles[high])
        if len(times) > 1:
            axes.band(ahead, *ends, MODEL, 0.16)
        else:
            # A single step has no area, so draw bars.
            axes.bars(ahead, *ends, Stroke(MODEL, 8.0, opacity=0.3))
    axes.line(as_days(history_times), as_numbers(history), Stroke(INK, 1.1))
    axes.line(ahead, as_numbers(baseline), Stroke(NAIVE, 1.1, DASHES, dots))
    axes.line(ahead, as_numbers(median), Stroke(MODEL, 1.8, dots=dots))
    if len(history_times):
        axes.upright(as_days(history_times)[-1], Stroke(MUTED, 0.8, DOTS))
    return dated(axes)


def error_by_step(steps: Sequence[int], model: Values, baseline: Values, metric: str) -> str:
    """The model's error at each step ahead, beside that of the seasonal naive."""
    axes, at, dots = by_steps(), as_numbers(steps), dots_of(len(steps) < 3)
    axes.line(at, as_numbers(baseline), Stroke(NAIVE, 1.3, DASHES, dots))
    axes.line(at, as_numbers(model), Stroke(MODEL, 1.8, dots=dots))
    axes.y.low, axes.y.label = 0.0, metric
    return as_svg(axes)


class Judged(NamedTuple):
    """What the rule saw of each night.

    Attributes:
        over_limit: Shape (night,), its statistic over its limit; None where it gave no verdict.
        since_onset: Shape (night,), whether the night lies between the onset of a degradation and its last night.
    """

    over_limit: Values
    since_onset: Sequence[bool]


def loss_history(nights: Sequence[datetime], loss: Values, baseline: Values, judged: Judged, hindcast: int = 0) -> str:
    """The loss of each night beside that of the seasonal naive, and below it what the rule saw.

    Args:
        nights: Shape (night,), naive local times.
        loss: Shape (night,).
        baseline: Shape (night,).
        judged: The statistic of each night, and those since an onset; both panels mark these.
        hindcast: How many of the first nights are a hindcast; they are paler.
    """
    dates, values, losses = as_days(nights), as_numbers(loss), Axes()
    _shade(losses, dates, judged.since_onset)
    for part, opacity in ((slice(hindcast), 0.5), (slice(hindcast, None), 1.0)):
        dots = dots_of(len(nights) < FEW)
        losses.line(dates[part], as_numbers(baseline)[part], Stroke(NAIVE, 1.3, DASHES, dots, opacity))
        losses.line(dates[part], values[part], Stroke(MODEL, 1.8, (), dots, opacity))
    if 0 < hindcast < len(nights):
        losses.upright(dates[hindcast], Stroke(MUTED, 0.8, DOTS))
    losses.y.low, losses.y.label = 0.0, "loss"
    if all(value is None for value in judged.over_limit):
        return dated(losses)
    return dated(losses, _statistic(dates, judged))


def _statistic(dates: FloatArray, judged: Judged) -> Axes:
    axes, values = Axes(), as_numbers(judged.over_limit)
    _shade(axes, dates, judged.since_onset)
    axes.level(1.0, Stroke(ALARM, 1.2, DASHES))
    axes.line(dates, values, Stroke(INK, 1.1, dots=3.0 * (len(dates) < FEW)))
    above = values > 1
    axes.line(dates[above], values[above], Stroke(ALARM, 0.0, dots=5.0, cap="square"))
    lowest, highest = axes.y.ends(VERTICAL)
    axes.y.low, axes.y.high, axes.y.label = min(0.0, lowest), max(1.25, highest), "of limit"
    return axes


def _shade(axes: Axes, dates: FloatArray, chosen: Sequence[bool]) -> None:
    """A pale band from the first to the last of neighbouring nights that are chosen."""
    edges = np.flatnonzero(np.diff([False, *chosen, False]))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        # Half a day on either side.
        axes.span(dates[first] - 0.5, dates[end - 1] + 0.5, ALARM, 0.14)


def coverage_plot(nights: Sequence[datetime], coverage: Values, nominal: float | None) -> str:
    """The observed coverage of the widest interval night by night, beside its nominal coverage."""
    axes, values = Axes(), as_numbers(coverage)
    if nominal is not None:
        axes.level(nominal, Stroke(MUTED, 1.2, DASHES))
    axes.line(as_days(nights), values, Stroke(MODEL, 1.8, dots=dots_of(len(nights) < FEW)))
    lowest = np.nanmin(values) if np.isfinite(values).any() else 0.0
    axes.y.low, axes.y.high = max(0.0, min(0.5, lowest - 0.05)), 1.02
    axes.y.ticks, axes.y.label = PERCENT, "inside the interval"
    return dated(axes)


def calibration(nominal: Sequence[float], observed: Sequence[float]) -> str:
    """The observed coverage of each central interval against its nominal coverage."""
    axes, whole = Axes(), as_numbers([0.0, 1.0])
    axes.line(whole, whole, Stroke(MUTED, 1.2, DASHES))
    axes.line(as_numbers(nominal), as_numbers(observed), Stroke(MODEL, 1.8, dots=5.0))
    axes.x.low, axes.x.high, axes.x.ticks, axes.x.label = 0.0, 1.0, PERCENT, "nominal"
    axes.y.low, axes.y.high, axes.y.ticks, axes.y.label = 0.0, 1.02, PERCENT, "observed"
    return as_svg(axes)


def training_history(steps: Sequence[int], loss: Values, validation_loss: Values) -> str:
    """Training and validation loss over the optimizer's steps; the best validation loss is marked."""
    axes, at, validation, dots = Axes(), as_numbers(steps), as_numbers(validation_loss), dots_of(len(steps) < 3)
    axes.line(at, as_numbers(loss), Stroke(MUTED, 1.2, dots=dots))
    axes.line(at, validation, Stroke(MODEL, 1.8, dots=dots))
    if np.isfinite(validation).any():
        best = np.nanargmin(validation)
        axes.line(at[[best]], validation[[best]], Stroke(MODEL, 0.0, dots=6.0))
    axes.x.ticks, axes.x.label, axes.y.label = partial(STEPS, most=6), "optimizer step", "loss"
    return as_svg(axes)


def by_steps() -> Axes:
    """A panel over the steps of a forecast."""
    axes = Axes()
    axes.x.ticks, axes.x.label = STEPS, "step ahead"
    return axes


def dots_of(few: bool) -> float:
    """The diameter of dots on values, of which only a few have dots."""
    return 4.0 if few else 0.0


def dated(*panels: Axes) -> str:
    """As `as_svg`, over dates."""
    for axes in panels:
        axes.x.ticks = date_ticks
    return as_svg(*panels)


def as_svg(*panels: Axes) -> str:
    """Panels, one below the other over the same values, as `<svg>`; those below the first are half as tall."""
    shares = [1.0] + [0.5] * (len(panels) - 1)
    height, last = HEIGHT * sum(shares), panels[-1]
    y_ticks = [axes.y.ticks(*axes.y.ends(VERTICAL)) for axes in panels]
    widest = max(len(label) for ticks in y_ticks for label in ticks.labels)
    left = CHARACTER * widest * FONT + LINE_HEIGHT * FONT * (any(axes.y.label for axes in panels) + 0.5)
    # A name that is longer than half the plot is cut off, not the plot.
    left, right = min(left, WIDTH / 2), FONT
    for axes in panels[:-1]:
        last.x.seen += axes.x.seen
    x_ends = last.x.ends(HORIZONTAL)
    x_ticks = last.x.ticks(*x_ends)
    below = FONT * (LINE_HEIGHT * (1 + bool(last.x.label or last.x.ticks is date_ticks)) + 0.5)
    above = [
        (1.2 if place else 0.6) * FONT + LINE_HEIGHT * FONT * ((len(axes.legend) + 1) // 2)
        for place, axes in enumerate(panels)
    ]
    room, top, parts = height - below - sum(above), 0.0, list[str]()
    for axes, ticks, share, over in zip(panels, y_ticks, shares, above, strict=True):
        box = Box(left, top + over, WIDTH - left - right, room * share / sum(shares))
        parts += _legend(axes, box)
        parts += _y_axis(axes, ticks, box)
        parts.append(axes.svg(box, x_ends, axes.y.ends(VERTICAL)))
        top = box.top + box.height
    return svg_of(WIDTH, height, [*parts, *_x_axis(last, x_ticks, box, x_ends)])


def _y_axis(axes: Axes, ticks: Ticks, box: Box) -> Iterator[str]:
    """Lines across the panel, with their labels, and the name of the axis."""
    low, high = axes.y.ends(VERTICAL)
    for place, label in zip(ticks.places, ticks.labels, strict=True):
        y = box.top + box.height * (high - place) / (high - low)
        yield stroke_at([(box.left, y), (box.left + box.width, y)], Stroke(LINE, 0.7))
        yield text_at(box.left - 0.3 * FONT, y + 0.35 * FONT, label, MUTED, "end")
    if axes.y.label:
        middle = box.top + box.height / 2
        turned = text_at(0, 0, axes.y.label, MUTED, "middle")
        yield f'<g transform="translate({FONT:g} {middle:.1f}) rotate(-90)">{turned}</g>'


def _x_axis(axes: Axes, ticks: Ticks, box: Box, ends: tuple[float, float]) -> Iterator[str]:
    """The line below the panel, labels, and the name of the axis or what the labels have in common."""
    bottom, right = box.top + box.height, box.left + box.width
    yield stroke_at([(box.left, bottom), (right, bottom)], Stroke(LINE, 0.8))
    for place, label in zip(ticks.places, ticks.labels, strict=True):
        x = box.left + box.width * (place - ends[0]) / (ends[1] - ends[0])
        yield text_at(x, bottom + LINE_HEIGHT * FONT, label, MUTED, "middle")
    if axes.x.label:
        yield text_at(box.left + box.width / 2, bottom + 2 * LINE_HEIGHT * FONT, axes.x.label, MUTED, "middle")
    if ticks.note:
        yield text_at(right, bottom + 2 * LINE_HEIGHT * FONT, ticks.note, MUTED, "end")


def _legend(axes: Axes, box: Box) -> Iterator[str]:
    """The names of lines above the panel, two in a row."""
    rows = (len(axes.legend) + 1) // 2
    for place, (name, stroke) in enumerate(axes.legend):
        x = box.left + place % 2 * box.width / 2
        y = box.top - LINE_HEIGHT * FONT * (rows - place // 2 - 0.5)
        yield stroke_at([(x, y), (x + 24, y)], stroke._replace(dots=0.0))
        yield text_at(x + 30, y + 0.35 * FONT, name, MUTED)


def _pairs(levels: Sequence[float]) -> list[tuple[float, float]]:
    """The pairs of levels p and 1 - p, widest first."""
    return [(p, q) for p in levels for q in levels if p < 0.5 and abs(p + q - 1.0) < 1e-9]
