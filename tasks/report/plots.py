"""Plots of the report, drawn by Matplotlib in the page's colours and fonts.

Each function gives one `<svg>` without a size, to be put into HTML as it is. Text stays text, and colours are CSS
variables of the page, so that a plot follows light and dark mode.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

# Placeholders that Matplotlib accepts as colours; `dress` replaces them by the page's variables.
INK, MUTED, LINE, MODEL, NAIVE, ALARM = "#010201", "#010202", "#010203", "#010204", "#010205", "#010206"
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", MODEL: "model", NAIVE: "naive", ALARM: "alarm"}
WIDTH, HEIGHT, FONT = 400, 222, 12.0
# In units of the font's size.
WIDEST_CHARACTER, LINE_HEIGHT = 0.6, 1.3
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nightcast",
    "font.size": FONT,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "path.simplify": True,
}

Values = Sequence[float | None]


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

    def draw(axes: Axes) -> None:
        levels = sorted(quantiles)
        ahead, middle = _dates(times), as_numbers(median)
        bands = [(as_numbers(quantiles[p]), as_numbers(quantiles[q])) for p, q in _pairs(levels)]
        for low, high in bands:
            if len(times) > 1:
                axes.fill_between(ahead, low, high, color=MODEL, alpha=0.16, linewidth=0)
            else:
                # A single step has no area, so draw bars.
                axes.vlines(ahead, low, high, color=MODEL, alpha=0.3, linewidth=8)
        marker = "o" if len(times) == 1 else ""
        axes.plot(_dates(history_times), as_numbers(history), color=INK, linewidth=1.1)
        axes.plot(ahead, as_numbers(baseline), color=NAIVE, linewidth=1.1, linestyle=(0, (4, 2)), marker=marker, ms=4)
        axes.plot(ahead, middle, color=MODEL, linewidth=1.8, marker=marker, ms=4)
        if len(history_times):
            axes.axvline(_dates(history_times)[-1], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        _date_axis(axes)

    return as_svg(draw)


def error_by_step(steps: Sequence[int], model: Values, baseline: Values, metric: str) -> str:
    """The model's error at each step ahead, beside that of the seasonal naive."""

    def draw(axes: Axes) -> None:
        marker = "o" if len(steps) < 3 else ""
        axes.plot(steps, as_numbers(baseline), color=NAIVE, linewidth=1.3, linestyle=(0, (4, 2)), marker=marker, ms=4)
        axes.plot(steps, as_numbers(model), color=MODEL, linewidth=1.8, marker=marker, ms=4)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel("step ahead")
        axes.set_ylabel(metric)

    return as_svg(draw)


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

    def draw_losses(axes: Axes) -> None:
        dates, values = _dates(nights), as_numbers(loss)
        marker = "o" if len(nights) < 15 else ""
        for part, alpha in ((slice(hindcast), 0.5), (slice(hindcast, None), 1.0)):
            look: Any = {"marker": marker, "ms": 3.5, "alpha": alpha}
            axes.plot(
                dates[part], as_numbers(baseline)[part], color=NAIVE, linewidth=1.3, linestyle=(0, (4, 2)), **look
            )
            axes.plot(dates[part], values[part], color=MODEL, linewidth=1.8, **look)
        if 0 < hindcast < len(nights):
            axes.axvline(dates[hindcast], color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        _shade(axes, dates, judged.since_onset)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("loss")
        _date_axis(axes)

    def draw_statistic(axes: Axes) -> None:
        dates, values = _dates(nights), as_numbers(judged.over_limit)
        axes.plot(dates, np.ones(len(dates)), color=ALARM, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.plot(dates, values, color=INK, linewidth=1.1, marker="o" if len(nights) < 15 else "", ms=3)
        above = values > 1
        axes.plot(dates[above], values[above], color=ALARM, linestyle="", marker="s", ms=5)
        _shade(axes, dates, judged.since_onset)
        axes.set_ylim(min(0.0, axes.get_ylim()[0]), max(1.25, axes.get_ylim()[1]))
        axes.set_ylabel("of limit")
        _date_axis(axes)

    judges = any(value is not None for value in judged.over_limit)
    return as_svg(draw_losses, draw_statistic) if judges else as_svg(draw_losses)


def _shade(axes: Axes, dates: Any, chosen: Sequence[bool]) -> None:
    """A pale band from the first to the last of neighbouring nights that are chosen."""
    edges = np.flatnonzero(np.diff([False, *chosen, False]))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        half = np.timedelta64(12, "h")
        axes.axvspan(dates[first] - half, dates[end - 1] + half, color=ALARM, alpha=0.14, linewidth=0)


def coverage_plot(nights: Sequence[datetime], coverage: Values, nominal: float | None) -> str:
    """The observed coverage of the widest interval night by night, beside its nominal coverage."""

    def draw(axes: Axes) -> None:
        marker = "o" if len(nights) < 15 else ""
        if nominal is not None:
            axes.axhline(nominal, color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.plot(_dates(nights), as_numbers(coverage), color=MODEL, linewidth=1.8, marker=marker, ms=3.5)
        lowest = np.nanmin(as_numbers(coverage)) if np.isfinite(as_numbers(coverage)).any() else 0.0
        axes.set_ylim(max(0.0, min(0.5, lowest - 0.05)), 1.02)
        axes.yaxis.set_major_formatter(FuncFormatter(as_percent))
        axes.set_ylabel("inside the interval")
        _date_axis(axes)

    return as_svg(draw)


def calibration(nominal: Sequence[float], observed: Sequence[float]) -> str:
    """The observed coverage of each central interval against its nominal coverage."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.plot(nominal, observed, color=MODEL, linewidth=1.8, marker="o", ms=5)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=5))
            axis.set_major_formatter(FuncFormatter(as_percent))
        axes.set_xlabel("nominal")
        axes.set_ylabel("observed")

    return as_svg(draw)


def training_history(steps: Sequence[int], loss: Values, validation_loss: Values) -> str:
    """Training and validation loss over the optimizer's steps; the best validation loss is marked."""

    def draw(axes: Axes) -> None:
        validation = as_numbers(validation_loss)
        marker = "o" if len(steps) < 3 else ""
        axes.plot(steps, as_numbers(loss), color=MUTED, linewidth=1.2, marker=marker, ms=3.5)
        axes.plot(steps, validation, color=MODEL, linewidth=1.8, marker=marker, ms=3.5)
        if np.isfinite(validation).any():
            best = int(np.nanargmin(validation))
            axes.plot([steps[best]], [validation[best]], color=MODEL, marker="o", ms=6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("loss")

    return as_svg(draw)


def as_svg(*draws: Callable[[Axes], None]) -> str:
    """Drawings, one below the other, as `<svg>` in the page's colours; those below the first are half as tall."""
    heights = [1.0] + [0.5] * (len(draws) - 1)
    height = HEIGHT * sum(heights)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        panels = figure.subplots(len(draws), squeeze=False, gridspec_kw={"height_ratios": heights, "hspace": 0.4})[:, 0]
        for draw, axes in zip(draws, panels, strict=True):
            draw(axes)
            _plain_axes(axes)
        _leave_margins(figure, list(panels), height)
        written = io.StringIO()
        figure.savefig(
            written,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return dress(written.getvalue())


def _plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(length=0, colors=MUTED, labelsize=FONT)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.label.set_color(MUTED)
    if not isinstance(axes.yaxis.get_major_formatter(), FuncFormatter):
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_formatter(FuncFormatter(short_number))
    axes.xaxis.get_offset_text().set_color(MUTED)


def _leave_margins(figure: Figure, panels: Sequence[Axes], height: float) -> None:
    """Leave room for the labels, by their number of characters.

    The browser sets the text in its own font, so Matplotlib could not measure it better; and to measure, it would draw
    each plot twice.
    """
    axes = panels[-1]
    widest = max(_widest_label(each) for each in panels)
    left = WIDEST_CHARACTER * widest * FONT + LINE_HEIGHT * FONT * (bool(axes.get_ylabel()) + 0.5)
    below = 1 + (bool(axes.get_xlabel()) or isinstance(axes.xaxis.get_major_formatter(), ConciseDateFormatter))
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1 - FONT / WIDTH,
        bottom=(LINE_HEIGHT * below + 0.5) * FONT / height,
        top=1 - 0.6 * FONT / height,
    )


def _widest_label(axes: Axes) -> int:
    """The number of characters of the longest label of the vertical axis."""
    low, high = sorted(axes.get_ylim())
    shown = [value for value in axes.yaxis.get_majorticklocs() if low <= value <= high]
    return max(map(len, axes.yaxis.get_major_formatter().format_ticks(shown)), default=0)


def dress(svg: str) -> str:
    """Keep only the `<svg>` element, without size and unused ids, and use the page's colours."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    # A page has several plots. Only ids that something refers to stay. They are digests of their content, so equal ids
    # mean equal content.
    referred = set(re.findall(r'(?:#)([\w-]+)[)"]', svg))
    svg = re.sub(r' id="([\w-]+)"', lambda found: found[0] if found[1] in referred else "", svg)
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


def _date_axis(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _pairs(levels: Sequence[float]) -> list[tuple[float, float]]:
    """The pairs of levels p and 1 - p, widest first."""
    return [(p, q) for p in levels for q in levels if p < 0.5 and abs(p + q - 1.0) < 1e-9]


def as_numbers(values: Values) -> Any:
    """An array, NaN where None; shape as given."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _dates(times: Sequence[datetime]) -> Any:
    return np.array(times, dtype="datetime64[us]")


def as_percent(share: float, _: object = None) -> str:
    """A share for an axis.

    >>> as_percent(0.25)
    '25%'
    """
    return f"{share:.0%}"


def short_number(value: float, _: object = None) -> str:
    """A number in few characters, such as 1.23M for 1234567."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
