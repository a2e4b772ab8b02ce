"""Turn the record of a night into the texts, numbers and plots of its page.

Nothing here reads or writes. If something is missing (details on another machine, no scores yet), its part of the page
says so; the page never fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from models.counted import counted
from models.evaluation.hindcast_means import hindcast_means
from models.monitoring.signals import measure_effect
from tasks.monitoring.explained import explained
from tasks.monitoring.usual import ratio_of
from tasks.report import plots
from tasks.report.accuracy import accuracy, widest_interval
from tasks.report.record import NightRecord, Row

# For each mode of training: a short name, and the beginning of a sentence.
MODES = {
    "scratch": ("from scratch", "Trained from scratch"),
    "warm": ("warm start", "Training continued from the champion"),
    "load": ("champion", "The champion was loaded, not trained"),
}
CHAMPION = "champion"
HISTORY_HORIZONS, LEAST_HISTORY = 3, 30
NIGHTS_SHOWN, NIGHTS_WITH_HINDCAST, VERSIONS_SHOWN = 90, 28, 6
# Fewer nights have no plot of their coverage.
NIGHTS_WITH_COVERAGE = 14


def page_facts(record: NightRecord) -> Row:
    """The names that the page's template reads."""
    record = replace(
        record,
        scores=_known(record.scores),
        losses=_known(record.losses),
        hindcast=_known(record.hindcast),
        alerts=_known(record.alerts),
    )
    details = record.details or {}
    widest = widest_interval(record.forecast.get("quantile_levels") or [])
    losses = [row for row in record.losses if row["segment"] == "all"][-NIGHTS_SHOWN:]
    tonight = losses[-1] if losses and losses[-1]["evaluated_on"] == record.cutoff else None
    return {
        "job": record.job,
        "cutoff": record.local(record.cutoff),
        "zone": str(record.zone),
        "horizon": record.forecast.get("horizon"),
        "frequency": record.forecast.get("frequency"),
        "run": _run(record),
        "seconds": (record.run.get("seconds") or {}) | (details.get("seconds") or {}),
        "verdict": verdict(record, tonight),
        "tonight": tonight,
        "ratio": ratio_of(tonight) if tonight else None,
        "usual": record.usual.get("all"),
        "seen": _seen(record, tonight),
        "hindcast": None if tonight and tonight["loss"] is not None else hindcast_facts(record),
        "nominal": widest,
        "loss_nights": losses,
        "loss_plot": _loss_plot(record, losses),
        "hindcast_shown": _hindcast_before(record, losses) != [],
        "coverage_plot": _coverage_plot(record, losses, widest),
        "accuracy": accuracy(record),
        "segments": [
            {**row, "ratio": ratio_of(row), "usual": record.usual.get(row["segment"])}
            for row in record.losses
            if row["segment"] != "all" and row["evaluated_on"] == record.cutoff
        ],
        "fans": [_fan(record, example) for example in details.get("examples") or []],
        "fallback": sorted((details.get("fallback") or {}).items(), key=lambda item: -item[1]),
        "audit": details.get("audit"),
        "decision": _decision(record),
        "training": details.get("training"),
        "outcome": details.get("outcome") or "now the champion",
        "training_plot": _training_plot(details.get("training")),
        "network": details.get("network"),
        "versions": [_version(record, row) for row in record.versions[:VERSIONS_SHOWN]],
        "alerts": [
            {**_alert(each.alert), "others": [_alert(row) for row in each.others]} for each in explained(record.alerts)
        ],
        "places": record.places,
        "has_details": record.details is not None,
        "local": record.local,
    }


def verdict(record: NightRecord, tonight: Row | None) -> tuple[str, str]:
    """The verdict on the night in a few words, and its tone: `good`, `watch` or `bad`."""
    if record.run.get("state") == "failed":
        return "The night failed", "bad"
    if record.run.get("state") == "interrupted":
        return "The night was interrupted; run it again", "bad"
    signals = {alert["signal"] for alert in record.alerts}
    if signals - {"input", "anomaly"} or (tonight and tonight["state"] == "degraded"):
        return "The loss has degraded", "bad"
    if "input" in signals:
        return "The source is stale", "bad"
    if signals:
        return "Published; more actuals than usual were not expected", "watch"
    if tonight is None:
        return "Published; not scored yet", "watch"
    if tonight["state"] != "ok":
        return "Published; too few nights to judge the loss", "watch"
    return "Published; the loss is normal", "good"


def hindcast_facts(record: NightRecord) -> Row | None:
    """How the first model did on past cutoffs, for a night without actuals of its own; None without a hindcast."""
    means = hindcast_means(record.hindcast)
    if not means:
        return None
    segments = [{**asdict(each), "ratio": ratio_of(asdict(each))} for each in means]
    return {
        **segments[0],
        "basis": means[0].basis,
        "first": record.local(means[0].first),
        "last": record.local(means[0].last),
        "segments": segments,
    }


def _known(rows: Sequence[Row]) -> list[Row]:
    """Rows with None in place of NaN: some databases store NaN, others null."""
    return [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in rows
    ]


def _run(record: NightRecord) -> Row:
    """The night's counts: from its row in the table `run`, or from its details while it is still running."""
    details = record.details or {}
    audit = details.get("audit") or {}
    known = {
        "series": audit.get("series"),
        "rows_read": audit.get("rows_read"),
        "fallback_series": sum(details["fallback"].values()) if "fallback" in details else None,
    }
    row = {key: value for key, value in record.run.items() if value is not None}
    return {"run_id": None, "started_at": None, "error": None} | known | row


def _alert(row: Mapping[str, Any]) -> Row:
    return {**row, "effect_words": _effect(row)}


def _effect(alert: Mapping[str, Any]) -> str:
    """How much worse a signal is, or for how long the source has had no value."""
    effect = alert["effect"]
    return "–" if effect is None else measure_effect(alert["signal"], effect)


def _decision(record: NightRecord) -> Row:
    decision = (record.details or {}).get("decision") or {}
    mode = decision.get("mode") or record.run.get("train_mode") or ""
    short, sentence = MODES.get(mode, (mode, mode))
    champion = next((row for row in record.versions if row["stage"] == CHAMPION), None)
    return {
        "short": short,
        "mode": sentence,
        "reason": decision.get("reason") or record.run.get("train_reason") or "",
        "until": None if champion is None else record.local(champion["trained_until"]),
        "version": (record.details or {}).get("model_version") or record.run.get("model_version") or "",
    }


def _version(record: NightRecord, row: Row) -> Row:
    return row | {"trained_until": record.local(row["trained_until"]), "created_at": record.local(row["created_at"])}


def _fan(record: NightRecord, example: Row) -> Row:
    past, ahead = example["history"], example["forecast"]
    horizon, observed = len(ahead["median"]), [i for i, value in enumerate(past["value"]) if value is not None]
    # A series that fell silent long ago shows its last values.
    silent = len(past["value"]) - 1 - observed[-1] if observed else 0
    kept = max(HISTORY_HORIZONS * horizon, LEAST_HISTORY, silent + horizon)
    plot = plots.fan_chart(
        [record.local(moment) for moment in past["timestamp"][-kept:]],
        past["value"][-kept:],
        [record.local(moment) for moment in ahead["timestamp"]],
        ahead["median"],
        ahead["baseline"],
        {float(level): values for level, values in ahead["quantiles"].items()},
    )
    return {
        "series_id": example["series_id"],
        "source": example["source"],
        "reason": example.get("reason") or "",
        "silent": len(past["value"]) if not observed else 0,
        "plot": plot,
        "first": ahead["median"][0],
        "last": ahead["median"][-1],
        "total": sum(ahead["median"]),
    }


def _loss_plot(record: NightRecord, losses: Sequence[Row]) -> str:
    losses = [row for row in losses if row["loss"] is not None]
    nights = [*_hindcast_before(record, losses), *losses][-NIGHTS_SHOWN:]
    if len(nights) < 2:
        return ""
    return plots.loss_history(
        [record.local(row["evaluated_on"]) for row in nights],
        [row["loss"] for row in nights],
        [row["baseline_loss"] for row in nights],
        plots.Judged([_over_limit(row) for row in nights], _since_onset(nights)),
        max(0, len(nights) - len(losses)),
    )


def _over_limit(row: Row) -> float | None:
    """The statistic of a night over its limit; None where the rule gave no verdict."""
    statistic = row.get("statistic")
    return None if statistic is None or row["state"] == "not evaluated" else statistic / (row["threshold"] or 1.0)


def _since_onset(nights: Sequence[Row]) -> list[bool]:
    """Whether each night lies between the onset of a degradation and the last night that was degraded by it."""
    spans = [
        (row["onset"], row["evaluated_on"]) for row in nights if row.get("state") == "degraded" and row.get("onset")
    ]
    return [any(first <= row["evaluated_on"] <= last for first, last in spans) for row in nights]


def _seen(record: NightRecord, tonight: Row | None) -> str:
    """What the rule saw tonight, in words; "" where it gave no verdict."""
    over = _over_limit(tonight) if tonight else None
    if tonight is None or over is None:
        return ""
    told = f"statistic {100 * over:.0f} % of its limit"
    if tonight["state"] != "degraded" or not tonight.get("onset"):
        return told
    nights = sum(tonight["onset"] <= row["evaluated_on"] for row in record.losses if row["segment"] == "all")
    return f"{told}; {counted(nights, 'night')} since {record.local(tonight['onset']):%Y-%m-%d}"


def _hindcast_before(record: NightRecord, losses: Sequence[Row]) -> list[Row]:
    """The hindcast that stands beside the first nights, which are compared with it; none beside many nights."""
    known = [row["evaluated_on"] for row in losses if row["loss"] is not None]
    if len(known) >= NIGHTS_WITH_HINDCAST:
        return []
    before = min(known, default=record.cutoff)
    rows = [row for row in record.hindcast if row["segment"] == "all" and row["loss"] is not None]
    return [row for row in rows if row["evaluated_on"] < before]


def _coverage_plot(record: NightRecord, losses: Sequence[Row], nominal: float | None) -> str:
    known = [row for row in losses if row["coverage"] is not None]
    if len(losses) < NIGHTS_WITH_COVERAGE or len(known) < 2:
        return ""
    return plots.coverage_plot(
        [record.local(row["evaluated_on"]) for row in known], [row["coverage"] for row in known], nominal
    )


def _training_plot(training: Row | None) -> str:
    history = (training or {}).get("history") or []
    if len(history) < 2:
        return ""
    return plots.training_history(
        [row["step"] for row in history],
        [row.get("loss") for row in history],
        [row.get("validation_loss") for row in history],
    )
