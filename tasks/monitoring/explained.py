"""Which alert explains which: a stale source all others, the whole job its segments, the loss the other signals.

Anomalies are explained by nothing, since their alert names the series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.night.ledger import Row

_SIGNALS = ("input", "loss", "bias", "coverage", "instability", "anomaly")


class Explained(NamedTuple):
    """An open alert that no other one explains, and those that it explains."""

    alert: Row
    others: list[Row]


def explanation_of(alert: Row, alerts: Sequence[Row]) -> Row | None:
    """The open alert that explains this one, the most important where several do; None where none does."""
    if alert["signal"] in ("input", "anomaly"):
        return None
    segment, signal = alert["segment"], alert["signal"]
    reasons = [("all", "input"), ("all", "loss"), ("all", signal), (segment, "loss")]
    still_open = {(each["segment"], each["signal"]): each for each in alerts if each.get("closed_at") is None}
    return next((still_open[key] for key in reasons if key != (segment, signal) and key in still_open), None)


def explained(alerts: Sequence[Row]) -> list[Explained]:
    """The alerts that no other one explains, the most important first, each with those that it explains.

    Args:
        alerts: Open ones of one job.
    """
    ordered = sorted(alerts, key=_importance)
    found = {id(each): Explained(each, []) for each in ordered if explanation_of(each, alerts) is None}
    for each in ordered:
        reason = explanation_of(each, alerts)
        # What explains this one may be explained itself: all of them stand under the first.
        while reason is not None and id(reason) not in found:
            reason = explanation_of(reason, alerts)
        if reason is not None:
            found[id(reason)].others.append(each)
    return list(found.values())


def _importance(alert: Row) -> tuple[bool, bool, int, str]:
    signal = alert["signal"]
    place = _SIGNALS.index(signal) if signal in _SIGNALS else len(_SIGNALS)
    return signal != "input", alert["segment"] != "all", place, alert["segment"]
