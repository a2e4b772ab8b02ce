"""Draw the pictures of docs/networks.md with Matplotlib.

    python docs/drawings.py [FOLDER]

FOLDER is where they go (default: docs/pictures). The same program draws the same bytes, so a test compares them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

PICTURES = Path(__file__).with_name("pictures")
INK, SOFT, BLUE, GREEN, RED = "#23313f", "#8a97a3", "#2b6cb0", "#2f855a", "#c05621"
PALE_BLUE, PALE_GREEN, PALE_RED, PALE = "#dbe9f6", "#dcf1e4", "#fbe6d8", "#eef1f4"
# On white in every colour scheme. Letters are drawn, because not every machine has the font.
STYLE: Any = {"svg.fonttype": "path", "svg.hashsalt": "nightcast", "font.size": 11, "font.family": "DejaVu Sans"}
Point = tuple[float, float]


def main() -> int:
    """Write every drawing."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        with mpl.rc_context(STYLE):
            file = folder / f"{name}.svg"
            draw().savefig(file, metadata={"Date": None, "Creator": None})
            print(f"{file}: {file.stat().st_size / 1024:.0f} kB")
    return 0


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose coordinates are inches."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    return figure, axes


def box(axes: Axes, centre: Point, text: str, size: Point = (1.0, 0.5), colour: str = PALE) -> None:
    x, y = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    axes.add_patch(FancyBboxPatch((x, y), *size, "round,pad=0,rounding_size=0.08", fc=colour, ec=INK, lw=1.2))
    axes.text(*centre, text, ha="center", va="center", color=INK)


def sign(axes: Axes, centre: Point, text: str) -> None:
    axes.add_patch(Circle(centre, 0.17, fc="white", ec=INK, lw=1.2, zorder=3))
    axes.text(*centre, text, ha="center", va="center", color=INK, zorder=4, fontsize=13)


def arrow(axes: Axes, start: Point, end: Point, colour: str = INK, bend: float = 0.0, *, head: bool = True) -> None:
    style = f"arc3,rad={bend}"
    arrows = "-|>" if head else "-"
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle=arrows, connectionstyle=style, color=colour, lw=1.5, mutation_scale=13,
                        shrinkA=0, shrinkB=0)
    )  # fmt: skip


def note(axes: Axes, place: Point, text: str, colour: str = SOFT, align: str = "center") -> None:
    axes.text(*place, text, ha=align, va="center", color=colour, fontsize=10)


def unrolled() -> Figure:
    figure, axes = canvas(10.4, 3.2)
    box(axes, (1.1, 1.6), "cell", (0.9, 0.6), PALE_BLUE)
    arrow(axes, (1.1, 0.75), (1.1, 1.3))
    arrow(axes, (1.1, 1.9), (1.1, 2.45))
    note(axes, (1.1, 0.55), "$x_t$", INK)
    note(axes, (1.1, 2.65), "$h_t$", INK)
    arrow(axes, (1.55, 1.75), (1.55, 1.45), BLUE, -3.2)
    note(axes, (1.1, 0.15), "as a loop")
    note(axes, (2.65, 1.6), "=", INK)
    days = ["Mon", "Tue", "Wed", "Thu", "Fri"]
    for number, day in enumerate(days):
        x = 3.6 + 1.25 * number
        box(axes, (x, 1.6), "cell", (0.75, 0.6), PALE_BLUE)
        arrow(axes, (x, 0.75), (x, 1.3))
        arrow(axes, (x, 1.9), (x, 2.45))
        note(axes, (x, 0.55), f"$x_{number + 1}$  {day}", INK)
        note(axes, (x, 2.65), f"$h_{number + 1}$", INK)
        arrow(axes, (x + 0.375, 1.6), (x + 0.875, 1.6), BLUE)
    arrow(axes, (2.95, 1.6), (3.225, 1.6), BLUE)
    note(axes, (9.55, 1.6), "what the\nlast step\nknows", BLUE, "left")
    note(axes, (6.1, 0.15), "the same cell, with the same weights, once for each step: unrolled in time")
    return figure


def lstm() -> Figure:
    figure, axes = canvas(8.4, 4.2)
    axes.add_patch(FancyBboxPatch((1.3, 0.75), 5.9, 2.9, "round,pad=0,rounding_size=0.15", fc=PALE_BLUE, ec="none"))
    arrow(axes, (0.55, 3.2), (7.9, 3.2), GREEN)
    note(axes, (0.45, 3.42), "memory $c_{t-1}$", GREEN, "left")
    note(axes, (7.25, 3.42), "memory $c_t$", GREEN, "left")
    arrow(axes, (0.55, 1.05), (5.6, 1.05), INK, head=False)
    note(axes, (0.1, 1.3), "state $h_{t-1}$", INK, "left")
    arrow(axes, (1.0, 0.2), (1.0, 1.05), INK, head=False)
    note(axes, (1.1, 0.25), "input $x_t$", INK, "left")
    gates = [(2.1, "forget\n$f$", PALE_RED), (3.2, "input\n$i$", PALE_RED), (4.3, "new\n$g$", PALE_GREEN)]
    gates.append((5.6, "output\n$o$", PALE_RED))
    for x, text, colour in gates:
        arrow(axes, (x, 1.05), (x, 1.42))
        box(axes, (x, 1.7), text, (0.85, 0.55), colour)
    arrow(axes, (2.1, 1.98), (2.1, 3.03))
    sign(axes, (2.1, 3.2), "×")
    sign(axes, (3.75, 2.5), "×")
    arrow(axes, (3.2, 1.98), (3.63, 2.37))
    arrow(axes, (4.3, 1.98), (3.87, 2.37))
    arrow(axes, (3.75, 2.67), (3.75, 3.03))
    sign(axes, (3.75, 3.2), "+")
    sign(axes, (6.4, 1.7), "×")
    arrow(axes, (6.03, 1.7), (6.23, 1.7))
    arrow(axes, (6.4, 3.2), (6.4, 2.8), INK)
    box(axes, (6.4, 2.55), "tanh", (0.7, 0.4), "white")
    arrow(axes, (6.4, 2.35), (6.4, 1.87))
    arrow(axes, (6.57, 1.7), (7.9, 1.7))
    note(axes, (7.25, 1.48), "state $h_t$", INK, "left")
    note(axes, (2.6, 0.3), "red: gates, numbers from 0 to 1.  × multiplies, + adds, unit by unit", SOFT, "left")
    return figure


def gru() -> Figure:
    figure, axes = canvas(8.4, 3.8)
    axes.add_patch(FancyBboxPatch((1.3, 0.7), 5.9, 2.6, "round,pad=0,rounding_size=0.15", fc=PALE_BLUE, ec="none"))
    arrow(axes, (0.55, 2.85), (7.9, 2.85), GREEN)
    note(axes, (0.45, 3.07), "state $h_{t-1}$", GREEN, "left")
    note(axes, (7.3, 3.07), "state $h_t$", GREEN, "left")
    arrow(axes, (0.95, 2.85), (0.95, 0.95), GREEN, head=False)
    arrow(axes, (0.95, 0.95), (4.75, 0.95), INK, head=False)
    arrow(axes, (1.15, 0.2), (1.15, 0.95), INK, head=False)
    note(axes, (1.25, 0.25), "input $x_t$", INK, "left")
    for x, text, colour in [
        (2.2, "keep\n$z$", PALE_RED),
        (3.4, "reset\n$r$", PALE_RED),
        (4.75, "new\n$g$", PALE_GREEN),
    ]:
        arrow(axes, (x, 0.95), (x, 1.27))
        box(axes, (x, 1.55), text, (0.85, 0.55), colour)
    arrow(axes, (3.83, 1.55), (4.32, 1.55))
    note(axes, (4.07, 1.75), "of $h$", SOFT)
    arrow(axes, (2.2, 1.83), (2.2, 2.68))
    sign(axes, (2.2, 2.85), "×")
    sign(axes, (5.75, 1.55), "×")
    arrow(axes, (5.18, 1.55), (5.58, 1.55))
    arrow(axes, (2.63, 1.68), (5.63, 1.68), SOFT, -0.22)
    note(axes, (4.15, 2.2), "$1 - z$", SOFT)
    arrow(axes, (5.75, 1.72), (5.75, 2.68))
    sign(axes, (5.75, 2.85), "+")
    note(axes, (3.2, 0.3), "one gate both keeps the old state and lets in the new one", SOFT, "left")
    return figure


def memory() -> Figure:
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    axes = figure.add_subplot()
    steps = np.arange(41)
    event = (steps == 5).astype(float)
    plain, gated, first, second = [], [], 0.0, 0.0
    for step in steps:
        first = np.tanh(0.75 * first + 1.2 * event[step])
        keep = 0.15 if step >= 30 else 0.995
        second = keep * second + (0.83 if step == 5 else 0.0)
        plain.append(first)
        gated.append(second)
    axes.axvline(5, color=SOFT, lw=1, ls=":")
    axes.axvline(30, color=SOFT, lw=1, ls=":")
    axes.plot(steps, plain, color=RED, lw=2)
    axes.plot(steps, gated, color=BLUE, lw=2)
    axes.text(5.4, 1.02, "an event", color=INK)
    axes.text(30.4, 1.02, "the forget gate closes", color=INK)
    axes.text(10.5, 0.33, "simple cell: what it saw\nfades within steps", color=RED)
    axes.text(15, 0.55, "gated cell: keeps it while\nthe forget gate is near 1", color=BLUE)
    axes.set(xlabel="step", ylabel="state", ylim=(0, 1.15), xlim=(0, 40))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def segments() -> Figure:
    figure, axes = canvas(9.6, 3.9)
    rng = np.random.default_rng(4)
    day = np.arange(8 * 7)
    level = 2.45 + 0.35 * np.sin(2 * np.pi * (day - 1) / 7) + 0.08 * rng.standard_normal(56)
    left, width = 0.4, 0.155
    for week in range(6):
        x = left + week * 7 * width
        axes.add_patch(FancyBboxPatch((x + 0.03, 1.85), 7 * width - 0.06, 1.2, "round,pad=0,rounding_size=0.05",
                                      fc=PALE_BLUE if week % 2 else PALE, ec="none"))  # fmt: skip
        centre = x + 3.5 * width
        box(axes, (centre, 0.95), "cell", (0.7, 0.42), PALE_BLUE)
        arrow(axes, (centre, 1.82), (centre, 1.2))
        if week < 5:
            arrow(axes, (centre + 0.35, 0.95), (centre + 7 * width - 0.35, 0.95), BLUE)
    at = left + width * (day + 0.5)
    axes.plot(at[:42], level[:42], color=INK, lw=1.3, marker="o", ms=2.5)
    axes.fill_between(at[41:], level[41:] - np.linspace(0, 0.3, 15), level[41:] + np.linspace(0, 0.3, 15),
                      color=PALE_GREEN)  # fmt: skip
    axes.plot(at[41:], level[41:], color=GREEN, lw=1.6)
    cut = left + 42 * width
    axes.plot([cut, cut], [1.75, 3.2], color=RED, lw=1.4, ls="--")
    note(axes, (cut, 3.32), "cutoff", RED)
    note(axes, (left + 21 * width, 3.6), "context: what the network sees", INK)
    note(axes, (left + 49 * width, 3.6), "horizon: what it forecasts", INK)
    box(axes, (left + 49 * width, 0.95), "head", (0.9, 0.42), PALE_GREEN)
    arrow(axes, (left + 5 * 7 * width + 3.5 * width + 0.35, 0.95), (left + 49 * width - 0.45, 0.95), BLUE)
    arrow(axes, (left + 49 * width, 1.17), (left + 49 * width, 1.95), GREEN)
    note(
        axes, (left + 24 * width, 0.4), "segment: 7. Six recurrent steps read 42 days; the head gives all 14 days ahead"
    )
    return figure


def stack() -> Figure:
    figure, axes = canvas(9.6, 4.4)
    inputs = [("values of the segment,\nin scales of the series", 1.3), ("calendar: weekday,\nmonth, holidays", 3.6)]
    inputs += [("covariates:\npromotion, price", 5.8), ("embeddings of the\nseries and its region", 8.1)]
    for text, x in inputs:
        box(axes, (x, 0.5), text, (2.05, 0.6), PALE_RED if "embed" in text else PALE)
        arrow(axes, (x, 0.8), (4.7 + (x - 4.7) * 0.35, 1.35))
    box(
        axes,
        (4.7, 1.6),
        "first layer: gru, 128 units, one state for each recurrent step",
        (6.4, 0.5),
        PALE_BLUE,
    )
    box(axes, (4.7, 2.4), "second layer reads the states of the first", (6.4, 0.5), PALE_BLUE)
    box(axes, (4.7, 3.2), "head: last state + each step's known future", (6.4, 0.5), PALE_GREEN)
    for x in (2.2, 3.45, 4.7, 5.95, 7.2):
        arrow(axes, (x, 1.85), (x, 2.15), BLUE)
    arrow(axes, (7.2, 2.65), (7.2, 2.95), BLUE)
    for x, text in zip((2.2, 3.45, 4.7, 5.95, 7.2), ("q0.05", "q0.25", "median", "q0.75", "q0.95"), strict=True):
        arrow(axes, (x, 3.45), (x, 3.85), GREEN)
        note(axes, (x, 4.03), text, GREEN)
    note(axes, (8.0, 4.03), "for every step", SOFT, "left")
    return figure


def pinball() -> Figure:
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    error = np.linspace(-10, 10, 201)
    for q, colour in ((0.1, BLUE), (0.5, INK), (0.9, RED)):
        left.plot(error, np.maximum(q * error, (q - 1) * error), color=colour, lw=2, label=f"q = {q}")
    left.set(xlabel="actual − forecast", ylabel="pinball loss", ylim=(0, 9.5))
    left.legend(frameon=False)
    demand = np.random.default_rng(1).gamma(4, 5, 4000)
    tried = np.linspace(0, 55, 221)
    for q, colour in ((0.1, BLUE), (0.5, INK), (0.9, RED)):
        gap = demand[:, None] - tried
        mean = np.maximum(q * gap, (q - 1) * gap).mean(0)
        right.plot(tried, mean, color=colour, lw=2)
        best = tried[mean.argmin()]
        right.plot([best], [mean.min()], "o", color=colour)
        share = (demand <= best).mean()
        right.annotate(f"{share:.0%} lie below", (best, mean.min()), xytext=(0, -14), textcoords="offset points",
                       ha="center", color=colour, fontsize=10)  # fmt: skip
    right.set(xlabel="forecast, the same for 4,000 actuals", ylabel="mean pinball loss", ylim=(0, 14), xlim=(0, 55))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def stopping() -> Figure:
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    axes = figure.add_subplot()
    step = np.linspace(0, 600, 121)
    rng = np.random.default_rng(2)
    train = 0.22 + 0.78 * np.exp(-step / 120) - 0.00008 * step
    check = 0.34 + 0.66 * np.exp(-step / 95) + 0.00000042 * np.maximum(step - 250, 0) ** 2
    check += 0.004 * rng.standard_normal(121)
    best = int(check.argmin())
    axes.plot(step, train, color=SOFT, lw=2)
    axes.plot(step, check, color=BLUE, lw=2)
    axes.plot([step[best]], [check[best]], "o", color=RED)
    axes.annotate("best weights: kept", (step[best], check[best]), xytext=(0, 26), textcoords="offset points",
                  color=RED, ha="center", arrowprops={"arrowstyle": "-", "color": RED})  # fmt: skip
    axes.text(445, 0.43, "steps held out", color=BLUE)
    axes.text(445, 0.22, "steps learnt from", color=INK)
    axes.set(xlabel="training step", ylabel="loss", ylim=(0.1, 1.02), xlim=(0, 600))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "network-unrolled": unrolled,
    "network-memory": memory,
    "network-lstm": lstm,
    "network-gru": gru,
    "network-segments": segments,
    "network-stack": stack,
    "network-pinball": pinball,
    "network-stopping": stopping,
}


if __name__ == "__main__":
    sys.exit(main())
