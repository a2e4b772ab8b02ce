"""Apply the current alert settings to the nights that are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, get_args

from models.monitoring.signals import Signal, as_calibrated, state_of
from tasks.monitoring.watch import Evaluation, PastLosses, alerts_after, loss_row
from tasks.night.job import Job
from tasks.night.ledger import Ledger, Row


def replay_rule(ledger: Ledger, job: Job) -> list[dict[str, Any]]:
    """The verdicts on each stored night and segment under the job's current settings; changes nothing.

    Levels that somebody accepted as normal count as normal here too, from that night on.

    Returns:
        Rows as of the table `loss`, oldest first.
    """
    stored = ledger.losses()
    hindcast = as_calibrated(ledger.hindcast_losses(), job.nominal_coverage)
    watched = Counter(row["evaluated_on"] for row in stored)
    replayed: dict[str, list[dict[str, Any]]] = {}
    for row in stored:
        # A verdict follows the verdicts before it, so compare with what is replayed, not with what is stored.
        nights = replayed.setdefault(str(row["segment"]), [])
        past = PastLosses(nights, hindcast, ledger.alerts())
        segments = watched[row["evaluated_on"]] - 1
        nights.append(loss_row(row, past, job.monitor, job.forecast.zone, segments))
    return sorted((row for nights in replayed.values() for row in nights), key=lambda row: row["evaluated_on"])


def by_segment(nights: Sequence[Row]) -> dict[str, list[list[Row]]]:
    """The nights of `replay_rule` by segment, the whole job first; quiet ones that follow each other are together.

    A night is quiet where no signal is degraded, and its state that of the night before it.
    """
    found: dict[str, list[list[Row]]] = {}
    for row in sorted(nights, key=lambda row: (row["segment"] != "all", row["segment"], row["evaluated_on"])):
        groups = found.setdefault(row["segment"], [])
        if groups and is_quiet(row) and is_quiet(groups[-1][-1]) and groups[-1][-1]["state"] == row["state"]:
            groups[-1].append(row)
        else:
            groups.append([row])
    return found


def is_quiet(row: Row) -> bool:
    """Whether no signal of a night is degraded."""
    return not degraded_signals(row)


def degraded_signals(row: Row) -> list[str]:
    """The signals of a night that are degraded."""
    return [signal for signal in get_args(Signal) if state_of(signal, row) == "degraded"]


def episodes_of(nights: Sequence[Row], zone: tzinfo) -> list[dict[str, Any]]:
    """The alerts that the nights of `replay_rule` would have raised, oldest first."""
    alerts: list[dict[str, Any]] = []
    for night in sorted({row["evaluated_on"] for row in nights}):
        evaluation = Evaluation([row for row in nights if row["evaluated_on"] == night], (), False, zone)
        for row in evaluation.rows:
            for alert in alerts_after(row, alerts, evaluation):
                key = ("segment", "signal", "opened_at")
                alerts = [each for each in alerts if any(each[name] != alert[name] for name in key)] + [alert]
    return sorted(alerts, key=lambda alert: (alert["opened_at"], alert["segment"], alert["signal"]))
