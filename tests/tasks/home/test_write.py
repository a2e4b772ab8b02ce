"""The pages over all nights, and over all jobs: what they say, where they lead, and that nothing can break them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sql.output import tables
from tasks.home.jobs import read_summaries, write_jobs
from tasks.home.write import write_home
from tasks.night.ledger import Ledger
from tasks.settings import Output
from tasks.store.places import Places

DAY = timedelta(days=1)
FIRST = datetime(2024, 1, 1, 23, tzinfo=UTC)  # midnight of 2 January in Madrid
MADRID = ZoneInfo("Europe/Madrid")
EVIL = "<script>alert('x')</script>\"><b>"


class Outline(HTMLParser):
    """Ids, addresses, tags and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(str(value))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def written(places: Places, changed: Path | None = None) -> str:
    return write_home(places, Ledger(places), MADRID, changed).read_text(encoding="utf-8")


def words(text: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Outline(re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)).texts))


def links_of(places: Places, cutoff) -> list[str]:
    return Outline(places.report_file(cutoff).read_text(encoding="utf-8")).addresses


def first(places: Places):
    return Ledger(places).publications()[0]["cutoff"]


def test_the_home_lists_every_night_with_its_verdict_and_links_those_whose_page_is_there(make_nights):
    text = written(make_nights(40, failed=(10,)))
    rows = re.findall(r'<td data-label="Night">.*?</tr>', text, flags=re.DOTALL)
    assert len(rows) == 40
    assert "2024-02-10" in rows[0]
    assert 'href="2024-02-09T230000Z.html"' in rows[0]
    # 0.13 against 0.2, and a statistic of a quarter of its limit.
    for fact in ("0.65", "25 %", "90 %", "Published; the loss is normal", "champion"):
        assert fact in rows[0], fact
    assert [("href" in row) for row in rows] == [True] * 3 + [False] * 37
    assert "The night failed" in rows[29]
    assert "The source does not answer." in rows[29]
    said = words(text)
    assert "40 nights, 2024-01-02 to 2024-02-10 (Europe/Madrid)" in said
    assert "v0" in said
    assert "v1 took its place" in said


def test_the_home_needs_nothing_beside_it_and_its_addresses_lead_to_pages_that_are_there(make_nights):
    places = make_nights(5)
    outline = Outline(written(places))
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    for address in outline.addresses:
        assert address[1:] in outline.ids if address.startswith("#") else (places.report / address).is_file(), address


def test_each_plot_has_words_and_links_for_the_nights(make_nights):
    text = written(make_nights(5))
    assert text.count('<div role="img" aria-label="Loss of the model') == text.count("<svg") == 2
    assert text.count('xlink:href="2024-01-05T230000Z.html"') == 4
    assert "#0102" not in text


def test_the_error_beside_the_naive_s_stands_before_the_loss_that_the_rule_sees(make_nights):
    score = {"job": "sales", "segment": "all", "n": 1680, "model_version": "v0", "baseline_value": 20.0}
    scores = [
        {**score, "cutoff": FIRST + place * DAY, "step": step, "metric": "mae", "value": value}
        for place, value in ((1, 12.0), (3, 13.0))
        for step in range(2)
        # Of the newer forecast only one step could be scored.
        if place == 1 or step
    ]
    said = words(written(make_nights(5, rows={tables.score: scores})))
    assert "MAE beside seasonal naive 40 % lower 12 against 20, the forecast of 2024-01-03" in said
    assert said.index("MAE beside seasonal naive") < said.index("Loss over the naive's")
    assert "MAE beside" not in words(written(make_nights(5, job="unscored")))


def test_alerts_that_another_one_explains_are_folded_under_it(make_nights):
    places = make_nights(30)
    ledger = Ledger(places)
    alert = {"job": "sales", "opened_at": first(places) + 20 * DAY, "onset": first(places) + 18 * DAY, "effect": 0.31}
    kinds = [
        ("region=north", "loss", "open"),
        ("all", "loss", "open"),
        ("all", "bias", "open"),
        ("low", "loss", "closed"),
    ]
    ledger.upsert_alerts(
        [
            {**alert, "segment": segment, "signal": signal, "state": state, "message": f"{segment}: {signal} is worse",
             "closed_at": alert["opened_at"] + DAY if state == "closed" else None}
            for segment, signal, state in kinds
        ]
    )  # fmt: skip
    text = written(places)
    part = text[text.index('id="alerts"') : text.index('id="versions"')]
    first_table, folded, closed = re.findall(r"<table.*?</table>", part, flags=re.DOTALL)
    told = [re.findall(r"[\w=]+: \w+ is worse", table) for table in (first_table, folded, closed)]
    assert told == [
        ["all: loss is worse"],
        ["all: bias is worse", "region=north: loss is worse"],
        ["low: loss is worse"],
    ]
    assert "2 more, which all, loss explains" in words(part)
    assert part.index("<details>") < part.index("all: bias is worse") < part.index("</details>")


def test_a_night_above_the_limit_and_an_alert_from_onset_to_close_are_marked(make_nights):
    places = make_nights(30, rows={tables.loss: []})
    begin = first(places)
    alerts = [
        {"segment": "all", "signal": "loss", "opened_at": begin + timedelta(days=20), "state": "open", "effect": 0.31},
        {"segment": "region=north", "signal": "bias", "opened_at": begin + timedelta(days=5), "state": "closed",
         "closed_at": begin + timedelta(days=9), "effect": 0.2},
    ]  # fmt: skip
    ledger = Ledger(places)
    ledger.upsert_alerts(
        [{"job": "sales", "onset": row["opened_at"] - timedelta(days=2), "message": "worse", **row} for row in alerts]
    )
    newest = max(ledger.losses(), key=lambda row: row["evaluated_on"])
    ledger.upsert_losses([{**newest, "statistic": 1.5, "state": "degraded"}])
    text = written(places)
    assert '<span class="worse">150 %</span>' in text
    rows = re.findall(r'<td data-label="Since">.*?</tr>', text, flags=re.DOTALL)
    assert [re.findall(r"2024-\d\d-\d\d(?!T)", row) for row in rows] == [
        ["2024-01-20", "2024-01-22"],
        ["2024-01-05", "2024-01-07", "2024-01-11"],
    ]
    for name in ("all, loss", "region=north, bias"):
        assert text.count(f">{name}</text>") == 2
    assert "The loss has degraded" in words(text)


def test_before_an_actual_has_arrived_the_hindcast_is_drawn_and_called_one(make_nights):
    places = make_nights(1)
    assert "No forecast has been evaluated yet" in words(written(places))
    hindcast = {"job": "sales", "segment": "all", "in_sample": False, "loss": 0.14, "n": 60}
    days = [first(places) - timedelta(days=day) for day in range(1, 20)]
    Ledger(places).upsert_hindcast_losses([hindcast | {"evaluated_on": day} for day in days])
    text = written(places)
    assert "hindcast: past nights forecast by the first model" in words(text)
    assert text.count("<svg") == 2


def test_the_links_between_pages_follow_the_pages_that_are_there(make_nights):
    places = make_nights(5)
    nights = [row["cutoff"] for row in Ledger(places).publications()]
    written(places)
    names = [places.report_file(cutoff).name for cutoff in nights]
    assert links_of(places, nights[2]) == ["index.html", names[3]]
    assert links_of(places, nights[3]) == ["index.html", names[2], names[4]]
    assert links_of(places, nights[4]) == ["index.html", names[3]]
    # Somebody removed a page, and the night of another one runs again.
    places.report_file(nights[3]).unlink()
    written(places, places.report_file(nights[4]))
    assert [links_of(places, cutoff)[1:] for cutoff in (nights[2], nights[4])] == [[names[4]], [names[2]]]


def test_the_oldest_page_that_is_kept_leads_to_none_that_was_deleted(make_nights):
    places = make_nights(5, pages=5)
    nights = [row["cutoff"] for row in Ledger(places).publications()]
    written(places)
    names = [places.report_file(cutoff).name for cutoff in nights]
    places.report_file(nights[0]).unlink()
    written(places, places.report_file(nights[4]))
    assert links_of(places, nights[1]) == ["index.html", names[2]]


def test_a_night_writes_only_the_pages_beside_its_own(make_nights):
    places = make_nights(6, pages=6)
    written(places)
    before = {file.name: file.stat().st_mtime_ns for file in places.report.glob("*Z.html")}
    nights = [row["cutoff"] for row in Ledger(places).publications()]
    later = places.report_file(nights[-1] + timedelta(days=1))
    later.write_text(places.report_file(nights[-1]).read_text(encoding="utf-8"), encoding="utf-8")
    written(places, later)
    changed = {name for name, at in before.items() if (places.report / name).stat().st_mtime_ns != at}
    assert changed == {places.report_file(nights[-1]).name}


def test_a_page_of_an_older_release_has_no_place_for_links_and_stays_as_it_is(make_nights):
    places = make_nights(2)
    old = places.report_file(first(places))
    old.write_text("<h1>old</h1>", encoding="utf-8")
    written(places)
    assert old.read_text(encoding="utf-8") == "<h1>old</h1>"


def test_backtests_are_kept_by_date_with_their_errors(make_nights):
    places = make_nights(1)
    for name in ("backtest-2024-03-01T063000Z", "backtest-2024-04-01T063000Z"):
        (places.report / f"{name}.html").write_text("<!-- other pages --><!-- end of other pages -->")
    facts = {"cutoffs": "3 cutoffs", "trained": "once", "errors": [f"MASE 0.8 {EVIL}"]}
    (places.report / "backtest-2024-04-01T063000Z.json").write_text(json.dumps(facts))
    (places.report / "backtest-2024-03-01T063000Z.json").write_text("{broken")
    text = written(places)
    rows = re.findall(r'<td data-label="Made">.*?</tr>', text, flags=re.DOTALL)
    # In Madrid summer time has begun.
    assert ["2024-04-01 08:30" in rows[0], "3 cutoffs" in rows[0], "2024-03-01 07:30" in rows[1]] == [True] * 3
    assert "<script" not in text
    newer = (places.report / "backtest-2024-04-01T063000Z.html").read_text(encoding="utf-8")
    assert Outline(newer).addresses == ["index.html", "backtest-2024-03-01T063000Z.html"]


def test_values_from_outside_cannot_become_markup(make_nights):
    places = make_nights(3)
    ledger = Ledger(places)
    row = {"job": "sales", "segment": EVIL, "signal": "loss", "opened_at": first(places), "state": "open"}
    ledger.upsert_alerts([row | {"message": EVIL, "reason": EVIL, "acknowledged_by": "$a$", "effect": 0.1}])
    text = written(places)
    assert "<script" not in text
    assert "<b>" not in text
    assert EVIL in words(text)


def test_an_empty_database_and_none_at_all_have_a_home(make_nights, tmp_path):
    assert "No night has run yet" in words(written(make_nights(0)))
    nowhere = Places("never", tmp_path, Output(url="sqlite:///nowhere.db"))
    assert "No night has run yet" in words(written(nowhere))
    assert not (tmp_path / "nowhere.db").exists()


def test_nights_that_are_no_longer_in_the_tables_say_so(make_nights):
    places = make_nights(4, pages=0)
    ledger = Ledger(places)
    ledger.delete_nights(first(places) + timedelta(days=2))
    assert words(written(places)).count("its forecasts have been deleted") == 2


def test_all_jobs_are_on_one_page_those_that_need_somebody_first(make_nights):
    good, bad = make_nights(6, job="good"), make_nights(6, job="bad", failed=(5,))
    for places in (good, bad):
        written(places)
    # A job that has not run since it could have a home, a damaged summary, and what is no job at all.
    older = good.report.parent / "older"
    for folder in (older, good.report.parent / "empty", good.report.parent / ".nightcast"):
        folder.mkdir()
    (older / "2024-01-05T230000Z.html").write_text("old")
    (older / "index.json").write_text('{"nights": "none"}')
    text = write_jobs(good.report.parent).read_text(encoding="utf-8")
    assert re.findall(r"<h2>(?:<a[^>]*>)?(\w+)", text) == ["bad", "older", "good"]
    outline = Outline(text)
    assert "older/2024-01-05T230000Z.html" in outline.addresses
    assert all((good.report.parent / address).is_file() for address in outline.addresses)
    assert "The night failed" in words(text)
    assert text.count("<polyline") == 2


def test_jobs_that_end_at_once_are_all_on_the_page(make_nights, monkeypatch):
    places, other = make_nights(2, job="sales"), make_nights(2, job="rents")
    written(other)
    summary = (other.report / "index.json").read_text(encoding="utf-8")
    left, read = [summary], read_summaries

    def reading(reports: Path):
        found = read(reports)
        # Another job ends right after this one has looked.
        if left:
            (other.report / "index.json").write_text(left.pop().replace('"open_alerts": 0', '"open_alerts": 7'))
        return found

    monkeypatch.setattr("tasks.home.jobs.read_summaries", reading)
    written(places)
    assert "<dd>7</dd>" in (places.report.parent / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["with space #1", "100% sure?", "äöü 'quoted'"])
def test_a_folder_of_reports_may_have_any_name(make_nights, tmp_path, folder):
    places = make_nights(2)
    moved = Places("sales", tmp_path, Output(report=folder))
    moved.report.parent.mkdir()
    places.report.rename(moved.report)
    outline = Outline(written(moved))
    assert all((moved.report / each).is_file() for each in outline.addresses if not each.startswith("#"))
