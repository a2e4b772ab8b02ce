"""A panel of a plot: marks in the units of what they show, drawn as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from typing import NamedTuple

import numpy as np

from models.arrays import FloatArray
from tasks.report.drawing.ticks import EPOCH, Ticks, number_ticks

# Colours are variables of the page, so that a plot follows light and dark mode.
INK, MUTED, LINE, MODEL, NAIVE, ALARM = (
    f"var(--{name})" for name in ("ink", "muted", "line", "model", "naive", "alarm")
)
FONT = 12.0
# In units of the font's size. The browser sets the text in its own font, so no one could measure it better here.
CHARACTER, LINE_HEIGHT = 0.6, 1.3
DASHES = (4.0, 2.0)

Values = Sequence[float | None]


class Stroke(NamedTuple):
    """How a line looks; lengths in pixels.

    Attributes:
        colour: A variable of the page.
        width: Of the line; 0 for none.
        dashes: Lengths of dashes and gaps in units of the width; () for a solid line.
        dots: Diameter of the dot on each value; 0 for none.
        opacity: From 0 to 1.
        cap: `round` for round dots, `square` for squares.
    """

    colour: str
    width: float
    dashes: Sequence[float] = ()
    dots: float = 0.0
    opacity: float = 1.0
    cap: str = "round"


class Box(NamedTuple):
    """Where a panel stands in its plot, in pixels."""

    left: float
    top: float
    width: float
    height: float


Mark = Callable[["Scale", "Scale"], str]


class Scale(NamedTuple):
    """From the units of an axis to pixels; what lies beyond its ends is drawn at them."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, values: FloatArray) -> FloatArray:
        """Pixels; NaN stays NaN."""
        share = (np.clip(values, self.low, self.high) - self.low) / (self.high - self.low)
        return np.asarray(self.begin + share * (self.end - self.begin))


@dataclass
class Axis:
    """One of the two directions of a panel.

    Attributes:
        low: Its lower end; None for that of the values.
        high: Its upper end; None for that of the values.
        label: What it shows.
        ticks: Gives the ticks between two ends.
        seen: The values that are drawn.
    """

    low: float | None = None
    high: float | None = None
    label: str = ""
    ticks: Callable[[float, float], Ticks] = number_ticks
    seen: list[float] = field(default_factory=list)

    def look_at(self, values: FloatArray) -> None:
        """Note what is drawn, so that the axis reaches so far."""
        finite = values[np.isfinite(values)]
        if finite.size:
            self.seen += [float(finite.min()), float(finite.max())]

    def ends(self, margin: float) -> tuple[float, float]:
        """Both ends, with a margin beyond the values as a share of their range."""
        low, high = (min(self.seen), max(self.seen)) if self.seen else (0.0, 1.0)
        room = margin * (high - low) or 0.05 * abs(high) or 0.5
        low = low - room if self.low is None else self.low
        high = high + room if self.high is None else self.high
        return (low, high) if high > low else (low, low + 1.0)


class Axes:
    """A panel. Its methods add marks; places are numbers, and dates days since `EPOCH`, see `as_days`."""

    def __init__(self) -> None:
        self.x, self.y = Axis(), Axis()
        self.legend: list[tuple[str, Stroke]] = []
        self._under: list[Mark] = []
        self._marks: list[Mark] = []

    def line(self, x: FloatArray, y: FloatArray, stroke: Stroke) -> None:
        """A line through all values; NaN divides it."""
        self._look_at(x, y)
        self._marks.append(lambda across, up: _line(across(x), up(y), stroke))

    def bars(self, x: FloatArray, low: FloatArray, high: FloatArray, stroke: Stroke) -> None:
        """An upright bar at each place."""
        self._look_at(x, low, high)
        self._marks.append(lambda across, up: _bars(across(x), up(low), across(x), up(high), stroke))

    def flat_bars(self, low: FloatArray, high: FloatArray, y: FloatArray, stroke: Stroke) -> None:
        """A bar from left to right at each height."""
        self.x.look_at(low)
        self._look_at(high, y)
        self._marks.append(lambda across, up: _bars(across(low), up(y), across(high), up(y), stroke))

    def band(self, x: FloatArray, low: FloatArray, high: FloatArray, colour: str, opacity: float) -> None:
        """The area between two lines; where one of them has no value, there is none."""
        self._look_at(x, low, high)
        self._under.append(lambda across, up: _band(across(x), up(low), up(high), colour, opacity))

    def span(self, begin: float, end: float, colour: str, opacity: float) -> None:
        """The whole height of the panel, from one place to another."""
        self.x.look_at(np.array([begin, end]))

        def draw(across: Scale, up: Scale) -> str:
            left, right = across(np.array([begin, end]))
            return (
                f'<rect x="{_px(left)}" y="{_px(up.end)}" width="{_px(right - left)}" '
                f'height="{_px(up.begin - up.end)}" fill="{colour}" fill-opacity="{opacity:g}"/>'
            )

        self._under.append(draw)

    def upright(self, x: float, stroke: Stroke) -> None:
        """A line through the whole height of the panel."""
        self.x.look_at(np.array([x]))
        here = np.array([x, x])
        self._marks.append(lambda across, up: _line(across(here), np.array([up.begin, up.end]), stroke))

    def level(self, y: float, stroke: Stroke) -> None:
        """A line through the whole width of the panel."""
        self.y.look_at(np.array([y]))
        here = np.array([y, y])
        self._marks.append(lambda across, up: _line(np.array([across.begin, across.end]), up(here), stroke))

    def links(self, x: FloatArray, y: FloatArray, stroke: Stroke, addresses: Sequence[str]) -> None:
        """A dot on each value, which leads to an address; "" for one that leads nowhere."""
        self._look_at(x, y)
        self._marks.append(lambda across, up: "".join(_links(across(x), up(y), stroke, addresses)))

    def text(self, x: float, y: float, words: str, anchor: str = "start") -> None:
        """A text whose `start` or `end` stands a little above a place."""

        def draw(across: Scale, up: Scale) -> str:
            return text_at(float(across(np.array(x))), float(up(np.array(y))) - 3, words, INK, anchor)

        self._marks.append(draw)

    def svg(self, box: Box, x_ends: tuple[float, float], y_ends: tuple[float, float]) -> str:
        """The marks within a box."""
        across = Scale(*x_ends, box.left, box.left + box.width)
        up = Scale(*y_ends, box.top + box.height, box.top)
        return "".join(draw(across, up) for draw in (*self._under, *self._marks))

    def _look_at(self, x: FloatArray, *ys: FloatArray) -> None:
        self.x.look_at(x)
        for y in ys:
            self.y.look_at(y)


def svg_of(width: float, height: float, parts: Iterable[str]) -> str:
    """The whole plot as one `<svg>` without a size of its own; its text stays text."""
    return (
        '<svg aria-hidden="true" focusable="false" xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width:g} {height:g}" '
        f'font-family="sans-serif" font-size="{FONT:g}">{"".join(parts)}</svg>'
    )


def text_at(x: float, y: float, words: str, colour: str, anchor: str = "start") -> str:
    """A text whose `start`, `middle` or `end` stands at a place, in pixels."""
    place = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{_px(x)}" y="{_px(y)}" fill="{colour}"{place}>{escape(words, quote=False)}</text>'


def stroke_at(points: Iterable[tuple[float, float]], stroke: Stroke) -> str:
    """A line through points, in pixels."""
    x, y = np.array([*points], dtype=np.float64).T
    return _line(x, y, stroke)


def as_numbers(values: Iterable[float | None]) -> FloatArray:
    """An array, NaN where None; shape as given."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def as_days(times: Sequence[datetime]) -> FloatArray:
    """Days since `EPOCH` of local times without a zone; shape as given."""
    since = np.array(times, dtype="datetime64[us]") - np.datetime64(EPOCH, "us")
    return np.asarray(since.astype(np.int64) / 86_400e6)


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _look(stroke: Stroke) -> str:
    dashes = " ".join(_px(length * stroke.width) for length in stroke.dashes)
    faint = f' stroke-opacity="{stroke.opacity:g}"' if stroke.opacity < 1 else ""
    return f'stroke="{stroke.colour}" stroke-width="{stroke.width:g}"{faint}' + (
        f' stroke-dasharray="{dashes}"' if dashes else ' stroke-linejoin="round"'
    )


def _line(x: FloatArray, y: FloatArray, stroke: Stroke) -> str:
    path, dots, pen = list[str](), list[str](), "M"
    for left, top in zip(x.tolist(), y.tolist(), strict=True):
        if left != left or top != top:
            pen = "M"
            continue
        path.append(f"{pen}{_px(left)} {_px(top)}")
        dots.append(f"M{_px(left)} {_px(top)}h0")
        pen = "L"
    drawn = f'<path d="{"".join(path)}" fill="none" {_look(stroke)}/>' if path and stroke.width else ""
    if stroke.dots and dots:
        faint = f' stroke-opacity="{stroke.opacity:g}"' if stroke.opacity < 1 else ""
        drawn += (
            f'<path d="{"".join(dots)}" stroke="{stroke.colour}" stroke-width="{stroke.dots:g}"{faint} '
            f'stroke-linecap="{stroke.cap}"/>'
        )
    return drawn


def _bars(x: FloatArray, y: FloatArray, to_x: FloatArray, to_y: FloatArray, stroke: Stroke) -> str:
    ends = zip(x.tolist(), y.tolist(), to_x.tolist(), to_y.tolist(), strict=True)
    # NaN is not equal to itself: a bar without an end is not drawn.
    path = "".join(f"M{_px(a)} {_px(b)}L{_px(c)} {_px(d)}" for a, b, c, d in ends if a + b + c + d == a + b + c + d)
    return f'<path d="{path}" {_look(stroke)}/>' if path else ""


def _band(x: FloatArray, low: FloatArray, high: FloatArray, colour: str, opacity: float) -> str:
    known = np.isfinite(low) & np.isfinite(high)
    edges = np.flatnonzero(np.diff([False, *known, False]))
    path = list[str]()
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        there = [*zip(x[first:end], high[first:end], strict=True)]
        back = [*zip(x[first:end], low[first:end], strict=True)][::-1]
        path.append("M" + "L".join(f"{_px(left)} {_px(top)}" for left, top in (*there, *back)) + "Z")
    return f'<path d="{"".join(path)}" fill="{colour}" fill-opacity="{opacity:g}"/>' if path else ""


def _links(x: FloatArray, y: FloatArray, stroke: Stroke, addresses: Sequence[str]) -> Iterable[str]:
    for left, top, address in zip(x.tolist(), y.tolist(), addresses, strict=True):
        if left == left and top == top:
            dot = _line(np.array([left]), np.array([top]), stroke._replace(width=0))
            yield f'<a xlink:href="{escape(address)}">{dot}</a>' if address else dot
