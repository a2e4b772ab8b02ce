"""Plots of a backtest: several forecasters by step, coverage by step, and differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from models.evaluation.backtest import NAIVE, NETWORK
from tasks.report.drawing.axes import LINE, MODEL, MUTED, Axes, Stroke, Values, as_numbers
from tasks.report.drawing.axes import NAIVE as NAIVE_COLOUR
from tasks.report.drawing.ticks import Ticks
from tasks.report.plots import DASHES, PERCENT, as_svg, by_steps, dots_of

_OTHER_DASHES = ((1.0, 1.5), (6.0, 2.0), (4.0, 1.5, 1.0, 1.5))


def by_step(steps: Sequence[int], values: Mapping[str, Values], label: str) -> str:
    """One line for each forecaster.

    Args:
        steps: Shape (step,).
        values: For each forecaster its value at each step; None where there is none.
        label: The name of the metric.
    """
    axes, dots = by_steps(), dots_of(len(steps) < 3)
    others = [name for name in values if name not in (NETWORK, NAIVE)]
    for name, line in values.items():
        if name == NETWORK:
            stroke = Stroke(MODEL, 1.8, (), dots)
        elif name == NAIVE:
            stroke = Stroke(NAIVE_COLOUR, 1.3, DASHES, dots)
        else:
            stroke = Stroke(MUTED, 1.3, _OTHER_DASHES[others.index(name) % len(_OTHER_DASHES)], dots)
        axes.line(as_numbers(steps), as_numbers(line), stroke)
        axes.legend.append((name, stroke))
    axes.y.low, axes.y.label = 0.0, label
    return as_svg(axes)


def coverage_by_step(steps: Sequence[int], values: Mapping[float, Values]) -> str:
    """The observed coverage of each central interval at each step, beside its nominal coverage.

    Args:
        steps: Shape (step,).
        values: For each nominal coverage the observed coverage at each step.
    """
    axes = by_steps()
    for nominal, line in values.items():
        axes.level(nominal, Stroke(MUTED, 1.0, DASHES))
        axes.line(as_numbers(steps), as_numbers(line), Stroke(MODEL, 1.8, dots=dots_of(len(steps) < 3)))
    axes.y.low, axes.y.high, axes.y.ticks, axes.y.label = 0.0, 1.02, PERCENT, "inside the interval"
    return as_svg(axes)


def differences(names: Sequence[str], share: Values, low: Values, high: Values) -> str:
    """How much lower (left) or higher each loss is, as a share of the other's, with its interval.

    Args:
        names: Shape (row,), from top to bottom.
        share: Shape (row,).
        low: Shape (row,), the lower end of the interval; None where it is not known.
        high: Shape (row,), the upper end.
    """
    axes, places = Axes(), [float(place) for place in range(len(names), 0, -1)]
    axes.upright(0.0, Stroke(LINE, 1.4))
    axes.flat_bars(as_numbers(low), as_numbers(high), np.array(places), Stroke(MODEL, 2.2, opacity=0.55))
    axes.line(as_numbers(share), np.array(places), Stroke(MODEL, 0.0, dots=6.0))
    axes.x.ticks = partial(PERCENT, most=5)
    axes.y.low, axes.y.high, axes.y.ticks = 0.4, len(names) + 0.6, lambda *_: Ticks(places, list(names))
    return as_svg(axes)
