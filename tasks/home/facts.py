"""Turn the record of a job into the texts, numbers and plots of its home. Nothing here reads or writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from models.monitoring.signals import measure_effect
from tasks.home.files import day_of, moment_of
from tasks.home.record import NIGHTS_SHOWN, JobRecord
from tasks.home.timeline import Lane, Span, Timeline, timeline
from tasks.monitoring.explained import explained
from tasks.monitoring.usual import ratio_of
from tasks.report.accuracy import gain, headline
from tasks.report.page import MODES, verdict
from tasks.report.record import NightRecord, Row

LANES_DRAWN = 8
# Widths of the plot in pixels, and how many nights it shows: a phone has no room for a year.
PLOTS = {1180: 400, 400: 120}
# Verdicts on nights that came to no end, and of what tone each is.
_UNFINISHED = {
    "running": ("Under way", "watch"),
    "crashed": ("The night crashed; run it again", "bad"),
    "skipped": ("Left out", "watch"),
}
_NO_VERDICT = ("No night yet", "watch")


class Drawn(NamedTuple):
    """A plot.

    Attributes:
        svg: The plot itself.
        nights: How many evaluations it shows.
        hindcasts: How many before the first night.
        left_out: How many segments and signals had alerts that found no room in it.
    """

    svg: str
    nights: int
    hindcasts: int
    left_out: int


def home_facts(record: JobRecord) -> Row:
    """The names that the template of a home reads."""
    losses = {row["evaluated_on"]: row for row in record.losses}
    nights = [_night(record, run, losses.get(run["cutoff"])) for run in record.night_runs()]
    known = [_alert(record, row) for row in sorted(record.alerts, key=_newest_first)]
    still_open = [alert for alert in known if alert["state"] != "closed"]
    champion = next((row for row in record.versions if row["stage"] == "champion"), None)
    newest = nights[0] if nights else None
    return {
        "job": record.job,
        "zone": str(record.zone),
        "newest": newest,
        "verdict": newest["verdict"] if newest else _NO_VERDICT,
        "nights": nights,
        "nights_shown": NIGHTS_SHOWN,
        "published": len(record.published),
        "failed": sum(night["state"] in ("failed", "crashed", "interrupted") for night in nights),
        "judged": next((night for night in nights if night["statistic"] is not None), None),
        "compared": next((night for night in nights if night["ratio"] is not None), None),
        "accuracy": _accuracy(record),
        "alerts": known,
        "open_alerts": still_open,
        "explained": explained(still_open),
        "closed_alerts": [alert for alert in known if alert["state"] == "closed"],
        "champion": None if champion is None else _version(record, champion),
        "versions": [_version(record, row) for row in record.versions],
        "backtests": [_backtest(record, name) for name in reversed(record.pages.backtests)],
        "evaluations": len(record.losses),
        "plots": [drawn for width in PLOTS if (drawn := _drawn(record, width))],
        "tables": record.tables,
        "local": record.local,
    }


def summary(facts: Row) -> Row:
    """What the page over all jobs says of one, as JSON."""
    newest, judged, compared, accuracy = (facts[name] for name in ("newest", "judged", "compared", "accuracy"))
    return {
        "job": facts["job"],
        "verdict": facts["verdict"][0],
        "tone": facts["verdict"][1],
        "night": newest["day"] if newest else "",
        "page": newest["page"] if newest else "",
        "published": facts["published"],
        "open_alerts": len(facts["open_alerts"]),
        "statistic": judged["statistic"] if judged else None,
        "mae_gain": accuracy["gain"] if accuracy and accuracy["metric"] == "mae" else None,
        "ratio": compared["ratio"] if compared else None,
        "usual": compared["usual"] if compared else None,
        "nights": [night["statistic"] for night in reversed(facts["nights"][:60])],
    }


def _night(record: JobRecord, run: Row, loss: Row | None) -> Row:
    cutoff, known = run["cutoff"], loss or {}
    is_judged = known.get("state", "not evaluated") != "not evaluated" and known["statistic"] is not None
    statistic = known["statistic"] / (known["threshold"] or 1.0) if is_judged else None
    ratio, usual = ratio_of(known), record.usual.get(cutoff)
    # Where a later run failed, the forecast of an earlier one stays; old nights are deleted from the tables.
    is_deleted = cutoff not in record.published and run["state"] in ("completed", "unchanged")
    return {
        "cutoff": cutoff,
        "day": day_of(record.local(cutoff)),
        "page": record.pages.night(cutoff),
        "state": run["state"],
        "verdict": _verdict(record, run, loss),
        "ratio": ratio,
        "usual": usual,
        "statistic": statistic,
        "is_above": statistic is not None and statistic > 1,
        "of_limit": "–" if statistic is None else _percent(statistic),
        "coverage": "" if known.get("coverage") is None else _percent(known["coverage"]),
        "model": MODES.get(run["train_mode"] or "", (run["train_mode"] or "–", ""))[0],
        "series": run["series"],
        "fallback": "–" if run["fallback_series"] is None else f"{run['fallback_series']:,}",
        "note": "; ".join(filter(None, ("its forecasts have been deleted" * is_deleted, run["error"] or run["note"]))),
    }


def _accuracy(record: JobRecord) -> Row | None:
    """The error that stands first, of the forecast with most steps scored."""
    row = headline(record.scores)
    if row is None:
        return None
    return {**row, "gain": gain(row["value"], row["baseline_value"]), "day": day_of(record.local(row["cutoff"]))}


def _percent(share: float) -> str:
    return f"{round(100 * share)} %".replace("-", "\N{MINUS SIGN}")


def _verdict(record: JobRecord, run: Row, loss: Row | None) -> tuple[str, str]:
    if run["state"] in _UNFINISHED:
        return _UNFINISHED[run["state"]]
    cutoff = run["cutoff"]
    known = [
        row
        for row in record.alerts
        if row["opened_at"] <= cutoff and not (row["closed_at"] and row["closed_at"] <= cutoff)
    ]
    return verdict(NightRecord(record.job, cutoff, run=run, alerts=known), loss)


def _newest_first(alert: Row) -> float:
    return -float(alert["opened_at"].timestamp())


def _alert(record: JobRecord, row: Row) -> Row:
    begun = row["onset"] or row["opened_at"]
    return {
        **row,
        "begun": record.local(begun),
        "opened": record.local(row["opened_at"]),
        "closed": record.local(row["closed_at"]) if row["closed_at"] else None,
        "page": record.pages.night(row["opened_at"]),
        "effect_words": "–" if row["effect"] is None else measure_effect(row["signal"], row["effect"]),
    }


def _version(record: JobRecord, row: Row) -> Row:
    """A version, the champion that it replaced, and why."""
    promoted = sorted((each for each in record.versions if each["promoted_at"]), key=lambda each: each["promoted_at"])
    place = next((i for i, each in enumerate(promoted) if each["version"] == row["version"]), None)
    made = [run for run in record.runs if run["model_version"] == row["version"] and run["train_mode"] != "load"]
    compared = [each for each in record.promotions if each["version"] == row["version"]]
    return {
        "version": row["version"],
        "stage": row["stage"],
        "trained_until": record.local(row["trained_until"]),
        "since": record.local(row["promoted_at"]) if row["promoted_at"] else None,
        "replaced": promoted[place - 1]["version"] if place else "",
        # A version that was replaced holds in `reason` by which one; why it was promoted, the run knows that made it.
        "why": (made[-1]["train_reason"] if made else "") or "",
        "compared": compared[-1]["reason"] if compared else "",
        "reason": row["reason"] or "",
        "nights": sum(run["model_version"] == row["version"] for run in record.night_runs()),
    }


def _backtest(record: JobRecord, name: str) -> Row:
    known = record.backtests.get(name, {})
    return {
        "page": name,
        "made": record.local(moment_of(name)),
        "cutoffs": str(known.get("cutoffs", "")),
        "trained": str(known.get("trained", "")),
        "errors": "; ".join(map(str, errors)) if isinstance(errors := known.get("errors"), list) else "",
    }


def _drawn(record: JobRecord, width: int) -> Drawn | None:
    """The plot of the newest nights, so wide; None where no night is evaluated."""
    losses = record.losses[-PLOTS[width] :]
    # What the first model would have lost before the first night: where that night is shown.
    hindcasts = [row for row in record.hindcasts if not losses or row["evaluated_on"] < losses[0]["evaluated_on"]]
    hindcasts = hindcasts if len(losses) == len(record.losses) else []
    drawn = [*hindcasts, *losses]
    if not drawn:
        return None
    first, last = drawn[0]["evaluated_on"], drawn[-1]["evaluated_on"]
    lanes = _lanes(record, first, last)
    shown = Timeline(
        nights=[record.local(row["evaluated_on"]) for row in losses],
        loss=[row["loss"] for row in losses],
        baseline=[row["baseline_loss"] for row in losses],
        statistic=[row["statistic"] if row["state"] != "not evaluated" else None for row in losses],
        limit=[row["threshold"] for row in losses],
        pages=[record.pages.night(row["evaluated_on"]) for row in losses],
        hindcast_nights=[record.local(row["evaluated_on"]) for row in hindcasts],
        hindcast_loss=[row["loss"] for row in hindcasts],
        lanes=lanes[:LANES_DRAWN],
        versions=_spans_of_versions(record, first, last),
    )
    return Drawn(timeline(shown, width), len(losses), len(hindcasts), len(lanes) - len(shown.lanes))


def _lanes(record: JobRecord, first: datetime, last: datetime) -> list[Lane]:
    """A lane for each segment and signal that had an alert in a period: those of the whole job first."""
    spans: dict[tuple[str, str], list[Span]] = {}
    for row in record.alerts:
        begin, end = row["onset"] or row["opened_at"], row["closed_at"] or last
        if end >= first and begin <= last:
            # An alert that opened tonight has no length yet.
            end = max(end, begin + timedelta(hours=12))
            bar = Span(record.local(max(begin, first)), record.local(end), row["state"] != "closed")
            spans.setdefault((row["segment"], row["signal"]), []).append(bar)

    def importance(key: tuple[str, str]) -> tuple[bool, bool, float]:
        return (
            key[0] != "all",
            not any(bar.is_open for bar in spans[key]),
            -max(bar.end for bar in spans[key]).timestamp(),
        )

    return [Lane(f"{segment}, {signal}", spans[segment, signal]) for segment, signal in sorted(spans, key=importance)]


def _spans_of_versions(record: JobRecord, first: datetime, last: datetime) -> list[Span]:
    """From when to when each version forecast the nights."""
    runs: Sequence[Row] = [
        run for run in reversed(record.night_runs()) if run["model_version"] and first <= run["cutoff"] <= last
    ]
    # The newest night has no successor, and its version is seen all the same.
    ends = [*(run["cutoff"] for run in runs[1:]), last + (last - first) / 100]
    spans: list[Any] = []
    for run, end in zip(runs, ends, strict=False):
        if spans and spans[-1][0] == run["model_version"]:
            spans[-1][2] = record.local(end)
        else:
            spans.append([run["model_version"], record.local(run["cutoff"]), record.local(end)])
    return [Span(begin, end, place % 2 == 0) for place, (_, begin, end) in enumerate(spans)]
