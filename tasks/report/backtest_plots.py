"""Plots of a backtest: several forecasters by step, coverage by step, and differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from models.evaluation.backtest import NAIVE, NETWORK
from tasks.report.plots import LINE, MODEL, MUTED, Values, as_numbers, as_percent, as_svg
from tasks.report.plots import NAIVE as NAIVE_COLOUR

_DASHES = ((0, (1, 1.5)), (0, (6, 2)), (0, (4, 1.5, 1, 1.5)))


def by_step(steps: Sequence[int], values: Mapping[str, Values], label: str) -> str:
    """One line for each forecaster.

    Args:
        steps: Shape (step,).
        values: For each forecaster its value at each step; None where there is none.
        label: The name of the metric.
    """

    def draw(axes: Axes) -> None:
        others = [name for name in values if name not in (NETWORK, NAIVE)]
        marker = "o" if len(steps) < 3 else ""
        for name, line in values.items():
            style: dict[str, Any]
            if name == NETWORK:
                style = {"color": MODEL, "linewidth": 1.8}
            elif name == NAIVE:
                style = {"color": NAIVE_COLOUR, "linewidth": 1.3, "linestyle": (0, (4, 2))}
            else:
                dash = _DASHES[others.index(name) % len(_DASHES)]
                style = {"color": MUTED, "linewidth": 1.3, "linestyle": dash}
            axes.plot(steps, as_numbers(line), label=name, marker=marker, ms=4, **style)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel("step ahead")
        axes.set_ylabel(label)
        axes.legend(frameon=False, labelcolor=MUTED, fontsize=10, ncols=2, loc="best")

    return as_svg(draw)


def coverage_by_step(steps: Sequence[int], values: Mapping[float, Values]) -> str:
    """The observed coverage of each central interval at each step, beside its nominal coverage.

    Args:
        steps: Shape (step,).
        values: For each nominal coverage the observed coverage at each step.
    """

    def draw(axes: Axes) -> None:
        marker = "o" if len(steps) < 3 else ""
        for nominal, line in values.items():
            axes.axhline(nominal, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)))
            axes.plot(steps, as_numbers(line), color=MODEL, linewidth=1.8, marker=marker, ms=4)
        axes.set_ylim(0, 1.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.yaxis.set_major_formatter(FuncFormatter(as_percent))
        axes.set_xlabel("step ahead")
        axes.set_ylabel("inside the interval")

    return as_svg(draw)


def differences(names: Sequence[str], share: Values, low: Values, high: Values) -> str:
    """How much lower (left) or higher each loss is, as a share of the other's, with its interval.

    Args:
        names: Shape (row,), from top to bottom.
        share: Shape (row,).
        low: Shape (row,), the lower end of the interval; None where it is not known.
        high: Shape (row,), the upper end.
    """

    def draw(axes: Axes) -> None:
        place = range(len(names), 0, -1)
        axes.axvline(0, color=LINE, linewidth=1.4)
        axes.hlines(place, as_numbers(low), as_numbers(high), color=MODEL, linewidth=2.2, alpha=0.55)
        axes.plot(as_numbers(share), list(place), color=MODEL, linestyle="", marker="o", ms=6)
        axes.set_ylim(0.4, len(names) + 0.6)
        axes.set_yticks(list(place), list(names))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(FuncFormatter(as_percent))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: names[len(names) - round(at)]))

    return as_svg(draw)
