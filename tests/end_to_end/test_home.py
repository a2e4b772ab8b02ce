"""The pages of two real nights and a failed one, opened from the disk in a headless Chromium."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from sql.errors import SourceError


def test_pages_lead_to_each_other_without_an_error_in_the_browser(two_nights: Path, browser_page):
    page, told = browser_page, []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    answer = CliRunner().invoke(main, ["report", str(two_nights), "--json"])
    home = Path(json.loads(answer.stdout)["home"])
    page.goto((home.parent.parent / "index.html").as_uri())
    page.get_by_role("link", name="small", exact=True).click()
    assert page.url == home.as_uri()
    page.get_by_role("table").first.get_by_role("link", name="2024-02-10").click()
    assert page.get_by_role("heading", level=1).inner_text() == "small"
    page.get_by_role("navigation", name="Other pages").get_by_role("link", name="2024-02-03").click()
    assert page.url.endswith("/2024-02-03T000000Z.html")
    page.get_by_role("navigation", name="Other pages").get_by_role("link", name="2024-02-10").click()
    page.get_by_role("link", name="All nights").click()
    # A night in the plot leads to its page.
    page.locator(".plot.wide a").last.click(timeout=20_000)
    assert page.url.endswith("/2024-02-10T000000Z.html")
    assert told == []


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1200, "dark")])
def test_nothing_is_cut_off_on_a_phone_or_a_desk(two_nights: Path, browser_page, width, scheme):
    page = browser_page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    for name in ("small/index.html", "index.html"):
        page.goto((two_nights.parent / "reports" / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        hidden = "[...document.querySelectorAll('td > *, .plot:not([style])')].filter(e => e.offsetParent && "
        hidden += "e.getBoundingClientRect().right > innerWidth).length"
        assert page.evaluate(hidden) == 0


def test_the_home_shows_a_night_that_failed_half_way(two_nights: Path, monkeypatch):
    def fail(*_: object) -> None:
        raise SourceError("no more rows")

    monkeypatch.setattr("flows.night.stages.predict", fail)
    with pytest.raises(SourceError):
        run_night(two_nights, cutoff="2024-02-17")
    text = (two_nights.parent / "reports/small/index.html").read_text(encoding="utf-8")
    newest = re.search(r'<td data-label="Night">.*?</tr>', text, flags=re.DOTALL)[0]
    for words in ("2024-02-17", "The night failed", "no more rows"):
        assert words in newest
    # The next night succeeds, and its row replaces that of the failure.
    monkeypatch.undo()
    assert run_night(two_nights, cutoff="2024-02-17", train="never").home
    text = (two_nights.parent / "reports/small/index.html").read_text(encoding="utf-8")
    assert "The night failed" not in text


def test_a_home_that_cannot_be_written_fails_no_night(two_nights: Path, caplog, monkeypatch):
    home = two_nights.parent / "reports/small/index.html"
    home.unlink()
    home.mkdir()
    night = run_night(two_nights, cutoff="2024-02-17", train="never")
    assert (night.state, night.home) == ("completed", "")
    assert "The pages over all nights could not be written" in caplog.text
    home.rmdir()
    assert CliRunner().invoke(main, ["report", str(two_nights)]).exit_code == 0
    assert home.is_file()


def test_without_a_published_night_report_names_the_page_of_those_that_failed(make_job, monkeypatch):
    job = make_job()

    def fail(*_: object) -> None:
        raise SourceError("no more rows")

    monkeypatch.setattr("flows.night.stages.decide", fail)
    with pytest.raises(SourceError):
        run_night(job, cutoff="2024-02-03")
    answer = CliRunner().invoke(main, ["report", str(job)])
    home = load_job(job).places.report / "index.html"
    assert answer.exit_code == 2
    assert f"{home} lists those that failed" in answer.stderr
    assert "no more rows" in home.read_text(encoding="utf-8")
