"""The page of one series: of any that a night forecast, with the same figures as on the page of the night."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import JobError, load_job
from flows.night.report import report_on, report_on_series
from sql.output import write
from tasks.report.series.block import unpack
from tasks.report.series.scripts import block_in

CUTOFF = datetime(2024, 2, 10, tzinfo=UTC)


def read_back(arrays, name, row):
    numbers = arrays[f"{name}_base"][row] + arrays[name] * arrays[f"{name}_unit"][row]
    return np.where(arrays[name] == 65_535, np.nan, numbers)


def test_the_page_of_a_series_says_what_the_page_of_its_night_says_of_it(two_nights):
    loaded = load_job(two_nights)
    header, arrays = unpack(block_in(loaded.places.report_file(CUTOFF)))
    row = header["ids"].index("c")
    page = report_on_series(loaded, None, "c")
    own_header, own = unpack(block_in(page))
    assert (own_header["ids"], own_header["of_all"]) == (["c"], 7)
    assert page.parent == loaded.places.report / "series"
    for name in ("points", "mae", "baseline_mae", "mase", "coverage", "newest_miss", "size", "relative_width"):
        assert own[name][0] == pytest.approx(arrays[name][row], rel=1e-5), name
    assert arrays["points"][row] == 7
    ahead = read_back(arrays, "ahead", row)[row]
    assert read_back(own, "ahead", 0)[0] == pytest.approx(ahead, abs=0.01)
    past = read_back(arrays, "night0", row)[row]
    assert read_back(own, "night0", 0)[0] == pytest.approx(past, abs=0.01)
    # From 1 October to 10 February.
    assert own_header["history"] == 133
    newest = read_back(arrays, "history", row)[row]
    assert read_back(own, "history", 0)[0][-len(newest) :] == pytest.approx(newest, abs=0.01)


def test_the_page_of_a_night_is_written_again_with_its_series(two_nights):
    page = load_job(two_nights).places.report_file(CUTOFF)
    before = block_in(page)
    done = CliRunner().invoke(main, ["report", str(two_nights)])
    assert done.exit_code == 0, done.output
    assert block_in(page) == before != ""


def test_a_series_that_the_night_does_not_have_is_refused_with_similar_ones(two_nights):
    loaded = load_job(two_nights)
    with pytest.raises(JobError, match=r"has no series 'shor'; similar ones are 'short'\. Name one of them\.$"):
        report_on_series(loaded, None, "shor")
    with pytest.raises(JobError, match=r"has no series '<script>'; it has 7 others\."):
        report_on_series(loaded, None, "<script>")
    assert not (loaded.places.report / "series").exists()


def test_a_folder_that_cannot_be_written_is_named(two_nights):
    reports = load_job(two_nights).places.report / "series"
    reports.write_text("in the way", encoding="utf-8")
    done = CliRunner().invoke(main, ["report", str(two_nights), "--series", "a", "--json"])
    assert done.exit_code in (1, 2)
    assert str(reports) in json.loads(done.stdout)["error"]


@pytest.fixture
def long_alerts(two_nights):
    """The job with alerts whose messages are long, its newest page written anew."""
    loaded = load_job(two_nights)
    for segment in ("all", "region=north"):
        words = f"small, {segment}: loss 36 % higher since 2024-02-05; diagnosis: " + "the level has shifted, " * 12
        key = {"job": "small", "segment": segment, "signal": "loss", "opened_at": CUTOFF}
        row = key | {"onset": CUTOFF, "effect": 0.36, "state": "open", "message": words}
        write.upsert_alerts(loaded.places.engine(), [row])
    return report_on(loaded, None).night


def test_on_a_phone_no_column_is_cut_off_and_no_alert_fills_the_screen(long_alerts, browser_page):
    browser_page.set_viewport_size({"width": 390, "height": 844})
    browser_page.goto(f"file://{long_alerts}")
    browser_page.wait_for_selector("#explorer[data-ready]")
    browser_page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1)"
    assert browser_page.evaluate(f"{cut}.map(each => each.ariaLabel)") == []
    assert browser_page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    rows = browser_page.locator("#alerts tbody tr")
    assert rows.count() == 2
    assert max(row.bounding_box()["height"] for row in rows.all()) < 844 / 2


def test_on_paper_nothing_is_folded_or_dark_and_tables_are_whole(long_alerts, browser_page):
    browser_page.set_viewport_size({"width": 720, "height": 1000})
    browser_page.emulate_media(color_scheme="dark")
    browser_page.goto(f"file://{long_alerts}")
    browser_page.wait_for_selector("#explorer[data-ready]")
    browser_page.emulate_media(media="print", color_scheme="dark")
    folded = "[...document.querySelectorAll('section > .card details > :not(summary)')]"
    heights = browser_page.evaluate(f"{folded}.map(each => each.getBoundingClientRect().height)")
    assert heights
    assert min(heights) > 10
    cut = "[...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1)"
    assert browser_page.evaluate(f"{cut}.map(each => each.ariaLabel)") == []
    assert browser_page.locator(".static svg").first.is_visible()
    assert not browser_page.locator(".finder").is_visible()
    assert browser_page.evaluate("getComputedStyle(document.querySelector('.stage b')).printColorAdjust") == "exact"
    assert browser_page.pdf(format="A4").startswith(b"%PDF")
