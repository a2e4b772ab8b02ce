"""What the report says: from the night's rows and details to the words, numbers and plots of a page.

Nothing here reads or writes. What a night did not leave (details on another machine, no scores
yet) makes its part of the page say so; it never makes the page fail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tasks.report import plots
from tasks.report.accuracy import accuracy, gain, widest_interval
from tasks.report.night import Night, Row

# Mode: in short, and as the beginning of a sentence.
MODES = {
    "scratch": ("from scratch", "Trained from scratch"),
    "warm": ("warm start", "Training continued from the champion"),
    "load": ("champion", "The champion was loaded, not trained"),
}
CHAMPION = "champion"
HISTORY_HORIZONS, LEAST_HISTORY = 3, 30
NIGHTS_SHOWN, VERSIONS_SHOWN = 90, 6


def page(night: Night) -> Row:
    """The names that the template reads."""
    night = replace(night, scores=_known(night.scores), losses=_known(night.losses), alerts=_known(night.alerts))
    details = night.details or {}
    widest = widest_interval(night.forecast.get("quantile_levels") or [])
    losses = [row for row in night.losses if row["segment"] == "all"][-NIGHTS_SHOWN:]
    tonight = losses[-1] if losses and losses[-1]["evaluated_on"] == night.cutoff else None
    return {
        "job": night.job,
        "cutoff": night.local(night.cutoff),
        "zone": str(night.zone),
        "horizon": night.forecast.get("horizon"),
        "frequency": night.forecast.get("frequency"),
        "run": _run(night),
        "seconds": (night.run.get("seconds") or {}) | (details.get("seconds") or {}),
        "verdict": verdict(night, tonight),
        "tonight": tonight,
        "gain": gain(tonight["loss"], tonight["baseline_loss"]) if tonight else None,
        "nominal": widest,
        "loss_nights": losses,
        "loss_plot": _loss_plot(night, losses),
        "coverage_plot": _coverage_plot(night, losses, widest),
        "accuracy": accuracy(night),
        "segments": [row for row in night.losses if row["segment"] != "all" and row["evaluated_on"] == night.cutoff],
        "fans": [_fan(night, example) for example in details.get("examples") or []],
        "fallback": sorted((details.get("fallback") or {}).items(), key=lambda item: -item[1]),
        "audit": details.get("audit"),
        "decision": _decision(night),
        "training": details.get("training"),
        "outcome": details.get("outcome") or "now the champion",
        "training_plot": _training_plot(details.get("training")),
        "network": details.get("network"),
        "versions": [_version(night, row) for row in night.versions[:VERSIONS_SHOWN]],
        "alerts": [row | {"effect_words": _effect(row)} for row in night.alerts],
        "places": night.places,
        "has_details": night.details is not None,
        "local": night.local,
    }


def verdict(night: Night, tonight: Row | None) -> tuple[str, str]:
    """The night in a few words and its tone: `good`, `watch` or `bad`."""
    if night.run.get("state") == "failed":
        return "The night failed", "bad"
    if any(alert["signal"] != "input" for alert in night.alerts) or (tonight and tonight["state"] == "degraded"):
        return "The loss has degraded", "bad"
    if night.alerts:
        return "The source is stale", "bad"
    if tonight is None:
        return "Published; not scored yet", "watch"
    if tonight["state"] != "ok":
        return "Published; too few nights to judge the loss", "watch"
    return "Published; the loss is as before", "good"


def _known(rows: Sequence[Row]) -> list[Row]:
    """Rows with None for NaN: some databases keep one, some the other."""
    return [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in rows
    ]


def _run(night: Night) -> Row:
    """The night's counts: from its row once it has ended, before that from what it kept."""
    details = night.details or {}
    audit = details.get("audit") or {}
    known = {
        "series": audit.get("series"),
        "rows_read": audit.get("rows_read"),
        "fallback_series": sum(details["fallback"].values()) if "fallback" in details else None,
    }
    row = {key: value for key, value in night.run.items() if value is not None}
    return {"run_id": None, "started_at": None, "error": None} | known | row


def _effect(alert: Row) -> str:
    """How much worse the loss is, or for how long the source has had no value."""
    effect = alert["effect"]
    if effect is None:
        return "–"
    return f"{effect:.0f} steps" if alert["signal"] == "input" else f"{effect:.0%}".replace("%", " %")


def _decision(night: Night) -> Row:
    decision = (night.details or {}).get("decision") or {}
    mode = decision.get("mode") or night.run.get("train_mode") or ""
    short, sentence = MODES.get(mode, (mode, mode))
    return {
        "short": short,
        "mode": sentence,
        "reason": decision.get("reason") or night.run.get("train_reason") or "",
        "until": next((night.local(row["trained_until"]) for row in night.versions if row["stage"] == CHAMPION), None),
        "version": (night.details or {}).get("model_version") or night.run.get("model_version") or "",
    }


def _version(night: Night, row: Row) -> Row:
    return row | {"trained_until": night.local(row["trained_until"]), "created_at": night.local(row["created_at"])}


def _fan(night: Night, example: Row) -> Row:
    past, ahead = example["history"], example["forecast"]
    kept = max(HISTORY_HORIZONS * len(ahead["median"]), LEAST_HISTORY)
    plot = plots.fan_chart(
        [night.local(moment) for moment in past["timestamp"][-kept:]],
        past["value"][-kept:],
        [night.local(moment) for moment in ahead["timestamp"]],
        ahead["median"],
        ahead["baseline"],
        {float(level): values for level, values in ahead["quantiles"].items()},
    )
    return {
        "series_id": example["series_id"],
        "source": example["source"],
        "reason": example.get("reason") or "",
        "plot": plot,
        "first": ahead["median"][0],
        "last": ahead["median"][-1],
        "total": sum(ahead["median"]),
    }


def _loss_plot(night: Night, losses: Sequence[Row]) -> str:
    losses = [row for row in losses if row["loss"] is not None]
    if len(losses) < 2:
        return ""
    return plots.loss_history(
        [night.local(row["evaluated_on"]) for row in losses],
        [row["loss"] for row in losses],
        [row["baseline_loss"] for row in losses],
        [row["state"] == "degraded" for row in losses],
    )


def _coverage_plot(night: Night, losses: Sequence[Row], nominal: float | None) -> str:
    known = [row for row in losses if row["coverage"] is not None]
    if len(known) < 2:
        return ""
    return plots.coverage_plot(
        [night.local(row["evaluated_on"]) for row in known], [row["coverage"] for row in known], nominal
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
