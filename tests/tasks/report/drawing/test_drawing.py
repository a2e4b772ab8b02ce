"""Ticks at round places, and marks where their values are."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.report.drawing.axes import ALARM, INK, Axes, Box, Stroke, as_days, as_numbers, svg_of
from tasks.report.drawing.ticks import as_percent, date_ticks, number_ticks, short_number
from tasks.report.plots import as_svg

BOX = Box(100, 0, 200, 50)


def svg(axes: Axes) -> str:
    return axes.svg(BOX, (0.0, 10.0), (0.0, 5.0))


@pytest.mark.parametrize(
    ("ends", "places"),
    [
        ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((0, 7), [0, 2, 4, 6]),
        ((-3, 9), [-2.5, 0, 2.5, 5, 7.5]),
        ((98, 103), [98, 99, 100, 101, 102, 103]),
        ((0, 4.1e6), [0, 1e6, 2e6, 3e6, 4e6]),
    ],
)
def test_numbers_have_round_ticks(ends, places):
    assert number_ticks(*ends).places == pytest.approx(places)


@given(st.floats(-1e12, 1e12), st.floats(1e-3, 1e12), st.integers(4, 8))
def test_ticks_lie_within_the_axis_and_are_few(low, length, most):
    ticks = number_ticks(low, low + length, most)
    room = 1e-6 * length + 1e-9 * abs(low)
    assert 1 <= len(ticks.places) <= most + 1
    assert all(low - room <= place <= low + length + room for place in ticks.places)
    assert len(ticks.labels) == len(ticks.places)


def test_steps_have_whole_ticks():
    assert number_ticks(0.9, 2.1, 8, whole=True).labels == ["1", "2"]


def test_numbers_are_short():
    said = [short_number(each) for each in (0.25, 1234567, -12500, 3e9, 2e12)]
    assert said == ["0.25", "1.23M", "\N{MINUS SIGN}12.5k", "3G", "2T"]
    assert number_ticks(0, 1, 2, label=as_percent).labels == ["0%", "50%", "100%"]


@pytest.mark.parametrize(
    ("begin", "length", "labels", "note"),
    [
        ("2024-01-30 23:00", timedelta(hours=2), ["23:00", "23:30", "Jan-31", "00:30", "01:00"], "2024-Jan-31"),
        ("2024-02-27", timedelta(days=4), ["27", "28", "29", "Mar", "02"], "2024-Mar"),
        ("2024-02-05", timedelta(days=36), ["08", "15", "22", "Mar", "08"], "2024-Mar"),
        ("2023-11-10", timedelta(days=70), ["15", "Dec", "15", "Jan", "15"], "2024-Jan"),
        ("2023-09-01", timedelta(days=300), ["Sep", "Nov", "2024", "Mar", "May"], ""),
        ("2023-02-01", timedelta(days=120), ["Feb", "Mar", "Apr", "May", "Jun"], "2023"),
        ("2019-01-01", timedelta(days=4 * 366), ["2019", "2020", "2021", "2022", "2023"], ""),
    ],
)  # fmt: skip
def test_dates_have_round_ticks_that_say_what_is_new(begin, length, labels, note):
    first = datetime.fromisoformat(begin)
    found = date_ticks(*as_days([first, first + length]))
    assert (found.labels, found.note) == (labels, note)


@given(st.datetimes(), st.timedeltas(timedelta(hours=1), timedelta(days=2000)), st.integers(4, 9))
def test_dates_of_any_year_have_few_ticks_within_the_axis(first, length, most):
    low = as_days([first])[0]
    high = low + length / timedelta(days=1)
    places = date_ticks(low, high, most).places
    assert len(places) <= most
    assert all(low <= place <= high for place in places)
    assert places == sorted(set(places))


def test_a_line_goes_through_its_values_and_a_missing_one_divides_it():
    axes = Axes()
    axes.line(as_numbers([0, 1, 2, 3, 4]), as_numbers([0, 5, None, 5, 0]), Stroke(INK, 1.0, (4.0, 2.0), dots=3.0))
    lines, dots = re.findall(r' d="([^"]+)"', svg(axes))
    # Twenty pixels a unit across, ten a unit up, and zero is at the bottom.
    assert lines == "M100 50L120 0M160 0L180 50"
    assert dots == "M100 50h0M120 0h0M160 0h0M180 50h0"


def test_a_band_lies_between_its_edges_where_both_are_known():
    axes = Axes()
    axes.band(as_numbers([0, 1, 2]), as_numbers([1, 1, None]), as_numbers([2, 3, 3]), INK, 0.5)
    assert re.findall(r' d="([^"]+)"', svg(axes)) == ["M100 30L120 20L120 40L100 40Z"]


def test_bars_without_an_end_are_left_out():
    axes = Axes()
    axes.bars(as_numbers([1, 2]), as_numbers([0, 0]), as_numbers([5, None]), Stroke(INK, 2.0))
    assert re.findall(r' d="([^"]+)"', svg(axes)) == ["M120 50L120 0"]


def test_what_lies_beyond_the_axis_is_drawn_at_its_end():
    axes = Axes()
    axes.line(as_numbers([0, 10]), as_numbers([-99, 99]), Stroke(INK, 1.0))
    assert "M100 50L300 0" in svg(axes)


def test_spans_lie_under_the_lines():
    axes = Axes()
    axes.line(as_numbers([0, 10]), as_numbers([1, 1]), Stroke(INK, 1.0))
    axes.span(2.0, 4.0, ALARM, 0.1)
    assert svg(axes).startswith('<rect x="140" y="0" width="40" height="50" ')


def test_names_and_addresses_cannot_become_markup():
    axes = Axes()
    axes.text(1.0, 1.0, "<b>&")
    axes.links(as_numbers([1]), as_numbers([1]), Stroke(INK, 0.0, dots=3.0), ['"><b>'])
    drawn = ElementTree.fromstring(svg_of(300, 50, [svg(axes)]))
    assert "".join(drawn.itertext()) == "<b>&"
    assert [each.get("{http://www.w3.org/1999/xlink}href") for each in drawn.iter() if each.tag.endswith("}a")] == [
        '"><b>'
    ]


def test_a_panel_without_any_value_is_drawn():
    axes = Axes()
    axes.line(as_numbers([None]), as_numbers([np.inf]), Stroke(INK, 1.0))
    assert ElementTree.fromstring(as_svg(axes)).tag.endswith("}svg")
