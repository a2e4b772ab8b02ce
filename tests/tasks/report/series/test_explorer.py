"""The page in a real browser: every series is found and drawn, whatever its name, and no other script runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from models.calendar.grid import TimeGrid
from tasks.explanation.night_parts import NightParts

EVIL = ["<script>window.ran=1</script>", '"><img src=x onerror="window.ran=1">', "'); window.ran=1; ('"]
STRANGE = [*EVIL, "emoji 🍞🥖", "عربى/قهوة", "a" * 500, "Señor/Café", "a/b#c?d&e=f%20", "</script><script>window.ran=1"]


@pytest.fixture
def open_page(browser_page):
    """Opens a file in the browser, and gives the page and what its console said."""

    def go(file, address=""):
        said = []
        browser_page.on("console", lambda message: said.append(message.text))
        browser_page.on("pageerror", lambda error: said.append(str(error)))
        browser_page.goto(f"file://{file}{address}")
        browser_page.wait_for_selector("#explorer[data-ready]")
        return browser_page, said

    return go


def names(page):
    return page.locator("#found bdi").all_text_contents()


def ink(page):
    """How many pixels of the chart are drawn."""
    return page.evaluate(
        """() => { const canvas = document.querySelector('#chart canvas');
        const shown = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let drawn = 0; for (let i = 3; i < shown.length; i += 4) drawn += shown[i] > 0; return drawn; }"""
    )


def test_a_search_finds_a_series_and_draws_it(make_page, open_page):
    page, said = open_page(make_page([f"shop {number}/{item}" for number in range(4) for item in ("coffee", "tea")]))
    assert page.locator("#name").text_content() == "shop 0/coffee"
    assert len(names(page)) == 8
    page.keyboard.press("/")
    page.keyboard.type("TEA 2")
    assert names(page) == ["shop 2/tea"]
    page.keyboard.press("Enter")
    assert page.locator("#name").text_content() == "shop 2/tea"
    assert page.url.endswith("#series=shop%202%2Ftea")
    assert ink(page) > 5_000
    facts = page.locator("#facts").inner_text()
    # 2 is half of the naive's 4.
    assert "50 % lower than the seasonal naive's 4" in facts
    assert "0.5" in facts
    assert "86 %" in facts
    assert "open in region=south: The loss is 30 % above its past" in page.locator("#its-alerts").inner_text()
    assert page.locator("#figures tbody tr").count() == 7
    assert said == []


def test_an_address_opens_a_series_and_a_wrong_one_says_so(make_page, open_page):
    file = make_page(["a", "b", "c/d"])
    page, said = open_page(file, "#series=c%2Fd")
    assert page.locator("#name").text_content() == "c/d"
    page.evaluate("location.hash = '#series=b'")
    page.wait_for_function("document.getElementById('name').textContent === 'b'")
    page.evaluate("location.hash = '#series=nowhere'")
    page.wait_for_selector("#missing:not([hidden])")
    assert "nowhere is not among the 3 series" in page.locator("#missing").inner_text()
    assert said == []


def test_lists_say_what_they_are_sorted_by(make_page, open_page):
    page, said = open_page(make_page(["a", "b", "c"]))
    buttons = {text.split()[0]: number for number, text in enumerate(page.locator("#orders button").all_inner_texts())}
    assert list(buttons) == ["Largest", "Worst", "Widest", "Surprising", "Fallback", "In"]

    def listed(name):
        page.locator("#orders button").nth(buttons[name]).click()
        return names(page)

    assert listed("Largest") == ["a", "b", "c"]
    assert listed("Widest") == ["c", "b", "a"]
    assert listed("Surprising") == ["c"]
    assert listed("Fallback") == ["c"]
    assert "too short" in page.locator("#found").inner_text()
    assert listed("In") == ["b"]
    assert said == []


def test_anomalies_have_a_list_and_are_read_with_what_was_expected(make_page, open_page):
    days = [datetime(2024, 2, day, tzinfo=UTC) for day in (28, 29, 29)]
    anomalies = pa.table({
        "series_id": ["a", "b", "a"], "timestamp": pa.array(days, pa.timestamp("us", "UTC")),
        "expected": [8.5, 7.0, 9.0], "probability": [1e-4, 2e-5, 1e-12],
        "since": pa.array([days[0], days[1], days[0]], pa.timestamp("us", "UTC")),
    })  # fmt: skip
    page, said = open_page(make_page(["a", "b", "c"], anomalies=anomalies))
    page.locator("#orders button", has_text="Anomalies").click()
    assert names(page) == ["a", "b"]
    assert "2024-02-29, one in a billion or more" in page.locator("#found").inner_text()
    assert "2024-02-29, one in 50,000" in page.locator("#found").inner_text()
    page.locator("#chart").focus()
    page.keyboard.press("ArrowLeft")
    assert (
        "anomaly: 9 was expected, one in a billion or more, since 2024-02-28" in page.locator("#readout").inner_text()
    )
    page.keyboard.press("ArrowLeft")
    assert "anomaly: 8.5 was expected, one in 10,000" in page.locator("#readout").inner_text()
    page.keyboard.press("ArrowLeft")
    assert "anomaly" not in page.locator("#readout").inner_text()
    assert page.locator("#event-keys .anomaly").count() == 1
    assert said == []


def test_a_series_says_what_moved_its_forecast_and_one_that_is_not_explained_how_to_ask(make_page, open_page):
    parts = NightParts(
        np.array(["a"]),
        ["all taken out", "level", "promotion", "rest"],
        np.stack([np.full(7, 20.0), np.full(7, -2.5), np.arange(7.0), np.zeros(7)])[None].astype(np.float32),
    )
    page, said = open_page(make_page(["a", "it's", "z"], parts=parts))
    page.locator("#why summary").click()
    rows = page.locator("#parts tr")
    assert rows.nth(0).locator("th").all_text_contents() == [
        "step", "day", "all taken out", "level", "promotion", "rest", "forecast",
    ]  # fmt: skip
    mean = rows.nth(1).locator("td").all_text_contents()
    assert mean[:6] == ["mean", "7 steps", "20", "\u22122.5", "+3", "0"]
    last = rows.nth(8).locator("td").all_text_contents()
    assert last[:6] == ["7", "2024-03-08", "20", "\u22122.5", "+6", "0"]
    page.locator("#found li", has_text="it's").click()
    assert rows.count() == 0
    assert page.locator("#why-note").text_content() == (
        "This page explains 1 forecast: those of the largest series, and of those that lead another list. "
        "For this one: nightcast explain sales --series 'it'\\''s'"
    )
    # The fallback has no parts.
    page.locator("#found li", has_text="z").click()
    assert page.locator("#why").is_hidden()
    assert said == []


def test_a_page_without_parts_does_not_speak_of_them(make_page, open_page):
    page, _ = open_page(make_page(["a", "b"]))
    assert page.locator("#why").is_hidden()


def test_the_arrow_keys_read_the_chart(make_page, open_page):
    page, said = open_page(make_page(["a", "b"]))
    page.locator("#chart").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#readout").inner_text().startswith("Thu 2024-02-29 · actual ")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert "Sat 2024-03-02 · median " in page.locator("#readout").inner_text()
    assert "80 % between" in page.locator("#readout").inner_text()
    assert said == []


def point_forecast(make_series):
    """A horizon of one step without quantiles, no earlier night, no alert, no event, and no value yet."""
    night = make_series(["a", "b"])
    one = night.forecast
    forecast = replace(
        one, quantile_levels=np.array([0.5]), quantiles=one.quantiles[:, :1, 1:2], median=one.median[:, :1],
        baseline=one.baseline[:, :1],
    )  # fmt: skip
    panel = replace(
        night.panels[0], values=np.zeros(0, np.float32), offsets=np.zeros(3, np.int64), known_future=None, holidays=(),
        horizon=1,
    )  # fmt: skip
    return {"forecast": forecast, "panels": [panel], "past": None, "alerts": []}


def hourly(make_series):
    """Hours over the end of summer time, when the clocks show an hour twice."""
    panel = make_series(["a", "b"]).panels[0]
    cutoff = TimeGrid("h", "Europe/Madrid").position(datetime(2024, 10, 27, 4, tzinfo=UTC))
    return {"panels": [replace(panel, frequency="h", time_zone="Europe/Madrid", cutoff_index=cutoff)], "alerts": []}


@pytest.mark.parametrize("changes", [point_forecast, hourly], ids=lambda each: each.__name__)
def test_series_of_every_shape_are_drawn(make_page, make_series, open_page, changes):
    page, said = open_page(make_page(["a", "b"], **changes(make_series)))
    for button in page.locator("#orders button").all():
        button.click()
    page.locator("#find").fill("b")
    page.keyboard.press("Enter")
    assert page.locator("#name").text_content() == "b"
    page.locator("#chart").focus()
    page.keyboard.press("End")
    read = page.locator("#readout").inner_text()
    assert "median" in read
    assert read.startswith("Sun 2024-10-27 12:00" if changes is hourly else "Sat 2024-03-02 ")
    assert page.locator("#figures tbody tr").count() == (7 if changes is hourly else 1)
    assert said == []


def test_the_links_to_other_nights_keep_the_series(make_page, open_page):
    file = make_page(["a", "b/c"])
    links = '<nav class="pages"><a href="index.html">All</a><a rel="prev" href="before.html">before</a></nav>'
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("<!-- other pages -->", f"<!-- other pages -->{links}"), encoding="utf-8")
    page, _ = open_page(file)
    page.locator("#find").fill("b/c")
    page.keyboard.press("Enter")
    addresses = page.evaluate("[...document.querySelectorAll('nav.pages a')].map(each => each.getAttribute('href'))")
    assert addresses == ["index.html", "before.html#series=b%2Fc"]


def test_no_name_runs_a_script_and_every_name_is_found(make_page, open_page):
    file = make_page(STRANGE)
    page, said = open_page(file)
    assert sorted(names(page)) == sorted(STRANGE)
    for name in STRANGE:
        page.locator("#find").fill(name)
        page.keyboard.press("Enter")
        assert page.locator("#name").text_content() == name
        page.goto("about:blank")
        page.goto(f"file://{file}#series={quote(name, safe='')}")
        page.wait_for_selector("#explorer[data-ready]")
        assert page.locator("#name").text_content() == name
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert said == []


def test_the_browser_refuses_a_script_that_is_not_the_pages_own(make_page, open_page):
    file = make_page(["a", "b"])
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("<header>", "<script>window.ran = 1</script><header>"), encoding="utf-8")
    page, said = open_page(file)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in each for each in said)


def test_a_dark_screen_has_a_dark_chart_and_a_light_print(make_page, open_page, browser_page):
    browser_page.emulate_media(color_scheme="dark")
    page, said = open_page(make_page(["a", "b"]))
    shown = "getComputedStyle(document.documentElement).getPropertyValue('--paper')"
    dark = page.evaluate(shown)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(shown) != dark
    page.emulate_media(media="screen", color_scheme="light")
    assert page.evaluate(shown) != dark
    assert said == []


def test_without_scripts_a_page_shows_no_empty_search(make_page, browser_page):
    context = browser_page.context.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"file://{make_page(['a', 'b'])}")
    assert not page.locator("#explorer").is_visible()
