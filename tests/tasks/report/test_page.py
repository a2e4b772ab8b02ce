"""The page of a night: what it says, that it needs nothing beside it, and that nothing can break it."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from sql.migrations.migrate import migrate
from sql.output import tables
from sql.secrets.known import remember
from tasks.night.ledger import Ledger
from tasks.report.accuracy import accuracy, gain, widest_interval
from tasks.report.details import _shown_history, read_details, write_details
from tasks.report.page import page_facts, verdict
from tasks.report.plots import calibration, error_by_step, fan_chart
from tasks.report.record import NightRecord
from tasks.report.screen import error_rows, night_screen
from tasks.report.write import render, write_page
from tasks.settings import Output
from tasks.store.places import Places

CUTOFF = datetime(2025, 2, 27, 23, tzinfo=UTC)  # midnight of 28 February in Madrid
DAY = timedelta(days=1)
LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


def loss_row(nights_ago: int, loss: float | None, state: str = "ok", segment: str = "all") -> dict[str, Any]:
    return {
        "job": "store-sales", "evaluated_on": CUTOFF - nights_ago * DAY, "segment": segment, "loss": loss,
        "baseline_loss": 0.2, "coverage": 0.88, "bias": -0.01, "n": 60, "statistic": 0.1, "threshold": 0.3,
        "state": state,
    }  # fmt: skip


def score_row(days_ago: int, step: int, metric: str, value: float | None, baseline: float | None) -> dict[str, Any]:
    return {
        "job": "store-sales", "cutoff": CUTOFF - days_ago * DAY, "segment": "all", "step": step, "metric": metric,
        "value": value, "baseline_value": baseline, "n": 60,
    }  # fmt: skip


def example(series_id: str, source: str = "model", reason: str = "", horizon: int = 28) -> dict[str, Any]:
    random = np.random.default_rng(len(series_id))
    past = 40 + 12 * np.sin(np.arange(120) * 2 * np.pi / 7) + random.normal(0, 3, 120)
    ahead = 40 + 12 * np.sin(np.arange(120, 120 + horizon) * 2 * np.pi / 7)
    values: list[float | None] = past.tolist()
    values[50] = None
    return {
        "series_id": series_id,
        "source": source,
        "reason": reason,
        "history": {"timestamp": [(CUTOFF - (119 - i) * DAY).isoformat() for i in range(120)], "value": values},
        "forecast": {
            "timestamp": [(CUTOFF + (i + 1) * DAY).isoformat() for i in range(horizon)],
            "mean": ahead.tolist(), "median": ahead.tolist(), "baseline": (ahead + 4).tolist(),
            "quantiles": {str(level): (ahead + (level - 0.5) * 24).tolist() for level in LEVELS},
        },
    }  # fmt: skip


@pytest.fixture
def night() -> NightRecord:
    """A night as a job of some weeks leaves it."""
    return NightRecord(
        job="store-sales",
        cutoff=CUTOFF,
        run={
            "run_id": "3f2a", "started_at": CUTOFF + timedelta(hours=3), "state": "completed", "series": 60,
            "fallback_series": 2, "rows_read": 55189, "seconds": {}, "train_mode": "warm", "error": None,
            "train_reason": "the champion is 28 days old", "model_version": "20250227T230000Z-1a2b3c4d",
        },
        scores=[
            *(score_row(28, step, "mae", 4 + step / 20, 6 + step / 20) for step in range(1, 29)),
            score_row(28, 0, "mae", 4.7, 6.7),
            score_row(28, 0, "smape", 0.213, 0.281),
            *(score_row(28, 0, f"coverage_{width}", width / 100 - 0.03, float("nan")) for width in (50, 90)),
            score_row(1, 1, "mae", 3.0, 6.0),
            score_row(1, 0, "mae", 3.0, 6.0),
        ],
        losses=[loss_row(ago, 0.13 + 0.02 * np.sin(ago)) for ago in range(30, -1, -1)]
        + [loss_row(0, 0.15, segment=f"region={region}") for region in ("north", "south")],
        versions=[
            {"version": "20250227T230000Z-1a2b3c4d", "stage": "champion", "trained_until": CUTOFF, "created_at": CUTOFF}
        ],
        places={"Tables": "sqlite:///forecasts.db", "Parquet": "forecasts"},
        details={
            "job": {"forecast": {
                "time_zone": "Europe/Madrid", "horizon": 28, "frequency": "D", "quantile_levels": LEVELS,
            }},
            "audit": {
                "rows_read": 55189, "series": 60, "observed": 53432, "first": "2022-08-31T22:00:00+00:00",
                "last": "2025-02-27T23:00:00+00:00", "findings": [
                    {"kind": "gaps", "count": 131, "examples": ["Madrid/tea"], "action": "left unobserved"},
                ],
            },
            "decision": {"mode": "warm", "reason": "the champion is 28 days old"},
            "model_version": "20250227T230000Z-1a2b3c4d",
            "training": {
                "mode": "warm", "seconds": 31.4, "steps": 600, "steps_per_second": 19.1, "validation_loss": 0.231,
                "champion_validation_loss": 0.242, "stopped": "no improvement in 8 validations", "kept_champion": False,
                "history": [
                    {"step": 50 * i, "loss": 0.2 + 0.2 / i, "validation_loss": 0.22 + 0.1 / i} for i in range(1, 13)
                ],
            },
            "network": {"summary": "gru 128\ndense 196", "choices": ["context of 91 steps: 13 segments of 7"]},
            "fallback": {"nothing observed in the last season": 1, "2 observed values, 3 needed": 1},
            "examples": [
                example("Madrid/coffee"), example("Sevilla/ice cream"), example("Bilbao/soup"),
                example("Cadiz/beer"), example("Gijon/umbrella"),
                example("Gijon/ice cream", "fallback", "nothing observed in the last season"),
            ],
            "seconds": {"read": 1.2, "fit": 31.9, "predict": 3.4, "publish": 0.4},
        },
    )  # fmt: skip


class Outline(HTMLParser):
    """Ids, addresses, tags left open and the texts of a page."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href"):
                self.addresses.append(str(value))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", " ".join(Outline(text).texts))


def test_the_page_says_how_the_night_went(night: NightRecord) -> None:
    said = words(render(night))
    # 1 - 4.7 / 6.7 is 0.2985; tonight's loss is 0.13 + 0.02 sin 0 = 0.13.
    for fact in (
        "store-sales", "Friday 2025-02-28 (Europe/Madrid)", "28 steps of D ahead", "1,680 rows published",
        "30 % lower 4.7 against 6.7, the forecast of 2025-01-31", "0.65 0.13 against 0.2", "88 %",
        "3.3 % of series", "the champion is 28 days old",
        "Published; the loss is normal", "Madrid/coffee", "nothing observed in the last season",
        "gaps", "left unobserved", "21.3 %", "No alert is open", "context of 91 steps", "gru 128", "1a2b3c4d",
        "sqlite:///forecasts.db",
    ):  # fmt: skip
        assert fact in said, fact


def test_the_page_is_whole_and_needs_nothing_beside_it(night: NightRecord) -> None:
    text = render(night)
    outline = Outline(text)
    assert outline.open == []
    assert not {"script", "link", "img", "iframe"} & set(outline.tags)
    # Addresses lead to parts of the page only; names of XML vocabularies are not fetched.
    assert all(address.startswith("#") for address in outline.addresses)
    assert {address[1:] for address in outline.addresses} <= set(outline.ids)
    assert not re.search(r"url\((?!#)", text)
    assert not re.search(r"@import|https?://(?!www\.w3\.org/)", text)


def test_every_plot_has_words_for_those_who_do_not_see_it(night: NightRecord) -> None:
    text = render(night)
    described = re.findall(r'role="img" aria-label="[^"]{20,}"><svg aria-hidden="true"', text)
    assert text.count("<svg") == len(described) == 10


def test_values_from_outside_cannot_become_markup(night: NightRecord) -> None:
    evil = "<script>alert('x')</script>\"><b>"
    assert night.details is not None
    details = night.details | {
        "examples": [example(evil, "fallback", evil)],
        "fallback": {evil: 1},
        "network": {"summary": evil, "choices": [evil]},
        "decision": {"mode": evil, "reason": evil},
    }
    text = render(
        replace(night, job=evil, details=details, places={evil: evil}, run=night.run | {"error": evil, "run_id": evil})
    )
    assert "<script" not in text
    assert "<b>" not in text
    assert Outline(text).open == []
    assert evil in words(text)


def test_a_first_night_says_that_nothing_is_scored_yet(night: NightRecord) -> None:
    said = words(render(replace(night, scores=[], losses=[])))
    assert "No actuals of an earlier forecast have arrived yet" in said
    assert "Published; not scored yet" in said
    assert "lower" not in said.replace("Lower is better", "")


def hindcast_row(nights_ago: int, loss: float, segment: str = "all") -> dict[str, Any]:
    return loss_row(nights_ago, loss, segment=segment) | {"in_sample": False}


def test_a_first_night_shows_its_hindcast_and_calls_it_one(night: NightRecord) -> None:
    # Tonight has a row without actuals for each segment.
    empty = [
        loss_row(0, None, "not evaluated", segment) | {"n": 0, "coverage": None} for segment in ("all", "region=north")
    ]
    rows = [hindcast_row(ago, 0.1, segment) for ago in range(30, 0, -1) for segment in ("all", "region=north")]
    first = replace(night, scores=[], losses=empty, hindcast=rows)
    facts, said = page_facts(first), words(render(first))
    assert facts["hindcast"]["cutoffs"] == 30
    # 0.1 against 0.2, and 88 % of 30 times 60 actuals.
    assert "0.50 hindcast: 0.1 against 0.2, judged on 30 past cutoffs before the job existed" in said
    assert "88 % hindcast: of 1,800 past actuals" in said
    assert "hindcast says what to expect: the model was judged on 30 past cutoffs" in said
    assert "region=north 0.1 0.2 0.50 88 % 1,800" in said
    assert "hindcast: past cutoffs, before the job existed" in said
    assert ">not evaluated<" not in render(first)
    screen = night_screen(facts, Path("x.html"))
    assert "hindcast: 0.1 against the seasonal naive's 0.2, a ratio of 0.50, 88% inside the widest interval" in screen


def test_a_hindcast_goes_once_a_night_has_its_own_figures(night: NightRecord) -> None:
    rows = [hindcast_row(ago, 0.1) for ago in range(90, 0, -1)]
    facts = page_facts(replace(night, hindcast=rows))
    assert facts["hindcast"] is None
    assert not facts["hindcast_shown"], "There are 31 nights."
    few = page_facts(replace(night, losses=[loss_row(0, 0.1)], hindcast=rows))
    assert (few["hindcast"], few["hindcast_shown"]) == (None, True)


def test_a_night_whose_details_lie_elsewhere_still_has_a_page(night: NightRecord) -> None:
    said = words(render(replace(night, details=None)))
    assert "details of this night are not on this machine" in said
    assert "Mean absolute error" in said


def test_a_night_of_which_nothing_is_known_has_a_page() -> None:
    assert "store-sales" in words(render(NightRecord("store-sales", CUTOFF)))


def test_what_is_usual_stands_beside_the_ratio_wherever_it_is_shown(night: NightRecord) -> None:
    judged = replace(night, usual={"all": 0.48, "region=north": 0.7})
    said = words(render(judged))
    assert "0.65 usually 0.48; 0.13 against 0.2" in said
    assert "region=north 0.15 0.2 0.75, usually 0.70 88 %" in said
    assert "a ratio of 0.65, usually 0.48; verdict: ok" in night_screen(page_facts(judged), Path("x.html"))


def test_a_quantile_loss_is_compared_with_that_of_the_naive_s_quantiles(night: NightRecord) -> None:
    row = score_row(28, 0, "weighted_quantile_loss", 0.135, 0.3)
    said = words(render(replace(night, scores=[*night.scores, row])))
    assert "Weighted quantile loss (wQL) 0.135 0.3 55 % lower 60" in said
    assert "Mean absolute error (MAE) 4.7 6.7 30 % lower 60" in said
    assert "it has quantiles as wide as it has erred before" in said


def test_the_loss_plot_shows_what_the_rule_saw_and_since_when(night: NightRecord) -> None:
    bad = [
        {**row, "state": "degraded", "statistic": 0.6, "onset": CUTOFF - 4 * DAY}
        if row["segment"] == "all" and row["evaluated_on"] >= CUTOFF - DAY
        else row
        for row in night.losses
    ]
    judged = replace(night, losses=bad)
    # A statistic of 0.6 over a limit of 0.3.
    assert "statistic 200 % of its limit; 5 nights since 2025-02-24" in words(render(judged))
    plot, calm = page_facts(judged)["loss_plot"], page_facts(night)["loss_plot"]
    assert "of limit" in calm
    assert plot.count("opacity: 0.14") == 2
    assert "opacity: 0.14" not in calm
    unjudged = [{**row, "state": "not evaluated", "statistic": None} for row in night.losses]
    assert "of limit" not in page_facts(replace(night, losses=unjudged))["loss_plot"]


def test_an_alert_that_explains_others_stands_first_and_they_are_folded_under_it(night: NightRecord) -> None:
    alerts = [
        {"segment": segment, "signal": signal, "opened_at": CUTOFF, "onset": CUTOFF, "effect": 0.31, "state": "open",
         "message": f"{segment}: {signal} is worse", "acknowledged_by": None}
        for segment, signal in (("region=north", "bias"), ("region=north", "loss"), ("all", "bias"), ("all", "loss"))
    ]  # fmt: skip
    bad = replace(night, alerts=alerts)
    text = render(bad)
    assert "all: loss is worse and 3 more alerts" in words(text)
    first, folded = text[text.index('id="alerts"') :].split("<details>")[:2]
    assert re.findall(r"[\w=]+: \w+ is worse", first) == ["all: loss is worse"]
    assert "3 more, which all, loss explains" in folded
    assert len(re.findall(r": \w+ is worse", folded)) == 3
    assert "all: loss is worse (open); explains 3 other alerts |" in night_screen(page_facts(bad), Path("x.html"))
    # Segments that got worse alone explain only themselves.
    alone = page_facts(replace(night, alerts=alerts[:2]))["alerts"]
    assert [(each["signal"], len(each["others"])) for each in alone] == [("loss", 1)]


def test_a_missing_number_is_never_shown_as_one(night: NightRecord) -> None:
    rows = [loss_row(1, 0.1), loss_row(0, float("nan"), state="not evaluated")]
    text = render(replace(night, losses=rows))
    assert ">nan" not in text
    assert page_facts(replace(night, losses=rows))["ratio"] is None


def test_an_open_alert_is_the_first_thing_the_page_says(night: NightRecord) -> None:
    alert = {
        "segment": "all", "signal": "loss", "opened_at": CUTOFF, "onset": CUTOFF - 4 * DAY, "effect": 0.31,
        "state": "open", "message": "The loss is 31 % above its past", "acknowledged_by": None,
    }  # fmt: skip
    degraded = replace(night, alerts=[alert])
    assert verdict(degraded, None) == ("The loss has degraded", "bad")
    assert "The loss is 31 % above its past" in words(render(degraded))


@pytest.mark.parametrize(
    ("state", "tone"), [("ok", "good"), ("not evaluated", "watch"), ("degraded", "bad")], ids=lambda value: str(value)
)
def test_the_verdict_follows_the_state_of_tonights_loss(night: NightRecord, state: str, tone: str) -> None:
    assert verdict(night, loss_row(0, 0.1, state))[1] == tone


def test_the_accuracy_shown_is_of_the_forecast_with_most_steps_known(night: NightRecord) -> None:
    shown = accuracy(night)
    assert shown is not None
    assert shown["steps"] == 28
    assert shown["cutoff"] == datetime(2025, 1, 31)
    assert next(row for row in shown["overall"] if row["metric"] == "mae")["gain"] == pytest.approx(1 - 4.7 / 6.7)


def test_gain_is_the_share_by_which_the_loss_is_lower() -> None:
    assert gain(0.15, 0.2) == pytest.approx(0.25)
    assert gain(0.3, 0.2) == pytest.approx(-0.5)
    assert gain(0.3, 0.0) is None
    assert gain(None, 0.2) is None


def test_the_widest_interval_is_that_of_the_outermost_pair() -> None:
    assert widest_interval([0.05, 0.1, 0.5, 0.9, 0.95]) == pytest.approx(0.9)
    assert widest_interval([0.1, 0.5]) is None


def test_a_plot_takes_the_pages_colours_and_keeps_its_text_as_text() -> None:
    drawn = calibration([0.5, 0.9], [0.45, 0.88])
    assert drawn.startswith("<svg ")
    assert "var(--model)" in drawn
    assert "#0102" not in drawn
    assert ">nominal</text>" in drawn
    assert 'pt"' not in drawn


def test_the_same_figures_give_the_same_plot() -> None:
    first, second = (error_by_step([1, 2], [1.0, 2.0], [2.0, 2.5], "error") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("past", "horizon"), [(0, 3), (1, 1), (40, 1)])
def test_a_fan_is_drawn_for_the_shortest_series_and_horizons(past: int, horizon: int) -> None:
    start = datetime(2025, 1, 1)
    times = [start + i * DAY for i in range(past + horizon)]
    flat = [5.0] * horizon
    drawn = fan_chart(times[:past], [None] * past, times[past:], flat, flat, {0.1: flat, 0.5: flat, 0.9: flat})
    assert drawn.count("<svg") == 1


def test_the_page_of_a_night_is_written_from_the_tables_of_its_database(database_url: str, tmp_path: Path) -> None:
    places = Places("store-sales", tmp_path, Output(url=database_url))
    engine = places.engine()
    migrate(engine)
    rows = {
        tables.run: [
            {"run_id": "a1", "job": "store-sales", "cutoff": CUTOFF, "started_at": CUTOFF, "state": "running"},
            {"run_id": "b2", "job": "other", "cutoff": CUTOFF, "started_at": CUTOFF, "state": "running"},
        ],
        tables.score: [score_row(28, 0, "mae", 4.0, 8.0), score_row(28, 1, "mae", 4.0, 8.0)],
        tables.loss: [loss_row(1, 0.12), loss_row(0, 0.1), loss_row(-1, 0.9)],
        tables.model: [
            {"job": "store-sales", "version": version, "created_at": CUTOFF, "trained_until": until, "stage": stage,
             "metrics": {}, "uri": "versions/x", "digest": "0"}
            for version, until, stage in (("known", CUTOFF, "champion"), ("newer", CUTOFF + DAY, "challenger"))
        ],
    }  # fmt: skip
    with engine.begin() as connection:
        for table, content in rows.items():
            connection.execute(table.insert(), content)

    for _ in range(2):
        path = write_page(places, Ledger(places), CUTOFF, "a1")

    assert [file.name for file in path.parent.iterdir()] == ["2025-02-27T230000Z.html"]
    said = words(path.read_text(encoding="utf-8"))
    # The night's own loss, 0.1 against 0.2: what a later night wrote is not this night's.
    assert "0.50 0.1 against 0.2" in said
    assert "Mean absolute error (MAE) 4 8 50 % lower 60" in said
    assert "known" in said
    assert "newer" not in said
    assert "details of this night are not on this machine" in said


def test_the_report_does_not_import_keras() -> None:
    program = "import sys, tasks.report; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_one_screen_tells_what_was_read_trained_published_and_how_good_it_was(night):
    lines = night_screen(page_facts(night), Path("/srv/reports/night.html")).splitlines()
    assert lines[0] == "## 🟢 Published; the loss is normal"
    assert lines[1] == "**store-sales**, night of Friday 2025-02-28 (Europe/Madrid), 28 steps of D ahead"
    assert "| **Read** | 55,189 rows of 60 series, 2022-09-01 to 2025-02-28 |" in lines
    assert "| **Findings** | 131 gaps (Madrid/tea, …): left unobserved |" in lines
    said = "\n".join(lines)
    assert "Training continued from the champion: the champion is 28 days old<br>version" in said
    assert said.index("**Accuracy**") < said.index("**Tonight's loss**")
    assert "0.13 against the seasonal naive's 0.2, a ratio of 0.65; verdict: ok" in said
    assert "88% of 60 new actuals inside the 90% interval" in said
    assert "the forecast of 2025-01-31, 28 steps scored<br>MAE 4.7 (naive 6.7)<br>47% inside the 50% interval" in said
    assert "28 steps of 60 series, 2 of them by fallback<br>1 by fallback: nothing observed" in said
    assert "| **Alerts** | none |" in lines
    # A page that came over http cannot link to a file.
    assert f"`/srv/reports/night.html` on {os.uname().nodename}" in said
    assert "file:" not in said
    address = "https://example.org/(a)|b/night.html"
    said = night_screen(page_facts(night), Path("/srv/reports/night.html"), address)
    assert "[https://example.org/(a)\\|b/night.html](https://example.org/%28a%29%7Cb/night.html) |" in said
    assert "/srv/reports" not in said


def test_plots_on_one_screen_need_nothing_beside_them(night):
    images = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', night_screen(page_facts(night), Path("x.html")))
    drawn = [base64.b64decode(image).decode() for image in images]
    assert len(drawn) == 4
    for svg in drawn:
        assert "var(--" not in svg
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


def test_what_comes_from_outside_cannot_break_the_screen(night):
    found = {"kind": "ga|ps", "count": 1, "examples": ["<b>|x\ny"], "action": "left"}
    details = {**night.details, "audit": {**night.details["audit"], "findings": [found]}}
    screen = night_screen(page_facts(replace(night, details=details)), Path("x.html"))
    assert "| **Findings** | 1 ga\\|ps (&lt;b>\\|x y): left |" in screen.splitlines()


@pytest.mark.parametrize(("count", "told"), [(1, "1 step without a row"), (2, "2 steps without a row")])
def test_a_finding_agrees_with_its_number_on_the_screen(night, count, told):
    found = {"kind": "steps without a row", "count": count, "examples": [], "action": "left"}
    details = {**night.details, "audit": {**night.details["audit"], "findings": [found]}}
    screen = night_screen(page_facts(replace(night, details=details)), Path("x.html"))
    assert f"| **Findings** | {told}: left |" in screen.splitlines()


def test_a_night_that_kept_nothing_still_has_its_screen():
    screen = night_screen(page_facts(NightRecord("store-sales", CUTOFF)), Path("x.html"))
    assert "not evaluated: no new actual of an earlier forecast has arrived" in screen


def test_an_open_alarm_stands_on_the_screen_with_whether_anybody_was_told(night):
    alert = {
        "segment": "all", "signal": "loss", "state": "open", "effect": 0.31, "onset": CUTOFF, "opened_at": CUTOFF,
        "closed_at": None, "last_sent_at": None, "acknowledged_by": None, "message": "31 % above its past",
        "delivery_errors": {"webhook": "it answered 500"},
    }  # fmt: skip
    screen = night_screen(page_facts(replace(night, alerts=[alert])), Path("x.html"))
    assert screen.startswith("## 🔴 The loss has degraded")
    assert "| **Alerts** | 🔔 31 % above its past (open, not delivered to webhook) |" in screen
    # A job without anyone to tell has no message that is still to be sent.
    screen = night_screen(page_facts(replace(night, alerts=[alert | {"delivery_errors": None}])), Path("x.html"))
    assert "| **Alerts** | 🔔 31 % above its past (open) |" in screen


def test_the_table_of_errors_has_the_seasonal_naive_beside_each(night):
    rows = {row["metric"]: row for row in error_rows(page_facts(night))}
    # 1 - 4.7 / 6.7 is 0.2985.
    mae = rows["Mean absolute error (MAE)"]
    assert (mae["model"], mae["seasonal naive"], mae["difference"], mae["points"]) == ("4.7", "6.7", "30% lower", 60)
    assert rows["Actuals inside the 50 % interval"]["seasonal naive"] == "–"


@pytest.mark.parametrize(
    ("signal", "effect", "size"),
    [
        ("loss", 0.31, "31 %"),
        ("instability", 1.66, "166 %"),
        ("bias", 1.66, "1.66 seasonal errors higher"),
        ("bias", -0.4, "0.40 seasonal errors lower"),
        ("coverage", 0.26, "26 percentage points"),
        ("input", 3.0, "3 steps"),
        ("input", 1.0, "1 step"),
        ("loss", None, "–"),
    ],
)
def test_the_effect_of_an_alert_has_the_unit_of_its_signal(night: NightRecord, signal: str, effect: float, size: str):
    alert = {
        "segment": "all", "signal": signal, "opened_at": CUTOFF, "onset": CUTOFF, "effect": effect,
        "state": "open", "message": "worse", "acknowledged_by": None,
    }  # fmt: skip
    assert page_facts(replace(night, alerts=[alert]))["alerts"][0]["effect_words"] == size
    assert f" {size} open" in words(render(replace(night, alerts=[alert])))


@pytest.mark.parametrize(("rate", "told"), [(19.1, "600 steps in 31 s, 19.1 a second"), (0.0, "600 steps in 31 s")])
def test_a_speed_of_training_that_is_not_known_is_left_out(night: NightRecord, rate: float, told: str):
    training = {**night.details["training"], "steps_per_second": rate}
    text = words(render(replace(night, details={**night.details, "training": training})))
    assert f"{told} Ended" in text


@pytest.mark.parametrize(("silent", "shown"), [(0, 84), (60, 88), (100, 120), (112, 120)])
def test_a_series_that_fell_silent_long_ago_shows_its_last_values(monkeypatch, night: NightRecord, silent, shown):
    """A series of 120 days, with so many silent ones at the end and a horizon of 28."""
    drawn = list[list[float | None]]()
    dead = example("dead", "fallback")
    dead["history"]["value"][120 - silent :] = [None] * silent

    def draw(times: object, values: list[float | None], *others: object) -> str:
        drawn.append(values)
        return "<svg/>"

    monkeypatch.setattr("tasks.report.plots.fan_chart", draw)
    page_facts(replace(night, details={**night.details, "examples": [dead]}))
    assert len(drawn[0]) == shown
    assert sum(value is not None for value in drawn[0]) >= 8


def test_a_series_without_any_value_to_show_says_so(night: NightRecord):
    dead = example("dead", "fallback")
    dead["history"]["value"] = [None] * 120
    said = words(render(replace(night, details={**night.details, "examples": [dead]})))
    assert "No value in the last 120 steps." in said


def test_the_details_keep_the_last_values_of_a_series_that_fell_silent():
    values = np.r_[np.arange(50.0), np.full(400, np.nan)].astype(np.float32)
    kept = _shown_history(values, 28)
    assert (len(kept), kept[0], np.isfinite(kept).sum()) == (428, 22.0, 28)
    assert len(_shown_history(values[:50], 7)) == 21
    assert len(_shown_history(values[50:], 28)) == 84
    assert len(_shown_history(values[:3], 28)) == 3


def test_a_single_step_is_told_in_the_singular(night: NightRecord):
    training = {**night.details["training"], "steps": 1}
    job = {**night.details["job"], "forecast": {**night.details["job"]["forecast"], "horizon": 1}}
    facts = page_facts(replace(night, details={**night.details, "training": training, "job": job}))
    screen = night_screen(facts, Path("x.html"))
    assert "1 step of D ahead" in screen
    assert "1 step of 60 series" in screen
    assert "1 step in 31.4 s" in screen
    assert "1 steps" not in screen


def test_a_page_holds_no_secret_and_keeps_its_plots(night):
    night.run["error"] = "no login with hunter2-x"
    plain = render(night)
    remember("hunter2-x")
    # A word that only the markup holds.
    remember("viewBox")
    assert "hunter2-x" not in render(night)
    assert render(night).count("viewBox") == plain.count("viewBox") > 0


def test_details_stay_json_whatever_a_secret_is(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.report.details.load_panel", lambda file: None)
    monkeypatch.setattr("tasks.report.details._examples", lambda *_: [{"first": 0.123456}])
    places = Places("sales", tmp_path, Output())
    job = SimpleNamespace(model_dump=lambda **_: {"name": "sales"}, aggregation_levels=None)
    tonight: Any = SimpleNamespace(job=job, run_id="r1", cutoff=CUTOFF, now=CUTOFF, places=places)
    details: Any = SimpleNamespace(
        audit=SimpleNamespace(to_dict=lambda: {"fallback_rows": 123456}),
        decision=SimpleNamespace(mode="retrain", reason="no login with hunter2-x"),
        model=SimpleNamespace(version="v1", training={}, outcome="", failure=None, cut=""),
        predicted=SimpleNamespace(summary="", choices=[], file=None, fallback_reasons={}),
    )
    for secret in ("123456", "fallback_rows", "hunter2-x"):
        remember(secret)
    write_details(tonight, details, {}, tmp_path)
    found = read_details(places, CUTOFF)
    assert found["audit"] == {"fallback_rows": 123456}
    assert found["decision"] == {"mode": "retrain", "reason": "no login with ***"}
    assert found["examples"] == [{"first": 0.123456}]
