"""What is watched of a segment, and the rule's verdict on each: loss, bias, coverage and instability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from models.arrays import FloatArray, IntArray
from models.monitoring.change_detection import Nights, Verdict, Watch, judge, judge_both, log_ratio, reference
from models.monitoring.mix_adjustment import Mixed, expected_log_ratio
from models.settings.monitoring import MonitorSettings

Signal = Literal["loss", "bias", "coverage", "instability"]
# Of the alerts that chance may raise: the loss's share, and that of the whole job among them.
LOSS, WHOLE_JOB = 3 / 4, 2 / 3
# Of the bias in units of the series' own seasonal errors; of the coverage in shares of the actuals.
BIAS, COVERAGE = Watch(0.03, 0.1), Watch(0.02, 0.05)
# Relative: a new network alone moves forecasts more than a night's actuals do.
INSTABILITY = Watch(float(np.log1p(0.1)), float(np.log1p(0.25)))


class Accepted(NamedTuple):
    """A change that somebody said is usual from now on.

    Attributes:
        onset: Of the nights, the first one after it.
        until: The newest one when that was said.
        effect: How large it was, as `Verdict.effect` tells.
    """

    onset: int
    until: int
    effect: float


def verdict_on(
    signal: Signal,
    nights: Sequence[Mapping[str, Any]],
    backtest: Sequence[Mapping[str, Any]],
    weekday: IntArray,
    monitor: MonitorSettings,
    rate: float,
    accepted: Sequence[Accepted] = (),
) -> Verdict:
    """The rule's verdict on one signal of the newest of a segment's nights.

    Args:
        signal: What of it.
        nights: Rows of `loss`, oldest first, the last one tonight's, whose state is not read.
        backtest: Rows of `hindcast_loss` from before them.
        weekday: Shape (backtest + night,), 0 for Monday.
        monitor: Settings.
        rate: Share of years in which chance may raise an alert of this signal and segment, see `rate_for`.
        accepted: Changes that are usual by now: nights before one count as if it had been there already, and those
            that were told as worse because of it as usual ones.

    Returns:
        The effect and what is detectable as a share of the loss or of the instability, in units of the bias, or of the
        coverage, whose effect is how far it fell. `onset` counts the nights alone.
    """
    rows = [*backtest, *nights]
    n = _column(rows, "n")
    usual_n = float(np.median(n[n > 0])) if (n > 0).any() else 0.0
    enough = (n > 0) & (n >= monitor.min_actuals * usual_n)
    if not enough[-1]:
        found = int(np.nan_to_num(n[-1]))
        reason = f"{found} actuals tonight, usually {usual_n:.0f}" if found else "no new actual has arrived"
        return Verdict("not evaluated", float("nan"), float("nan"), None, reason=reason)
    values = np.where(enough, _values(signal, rows), np.nan)
    said = [_said(signal, row) for row in nights[:-1]]
    degraded = np.array([0] * len(backtest) + said + [0], np.int64)
    for change in accepted:
        begin, end = len(backtest) + change.onset, len(backtest) + change.until + 1
        values[:begin] += float(np.log1p(change.effect)) if signal in ("loss", "instability") else change.effect
        degraded[begin:end] = 0
    learnt = sum(bool(row["in_sample"]) for row in backtest)
    told = Nights(values, weekday, degraded, len(backtest), learnt)
    if signal == "loss":
        mix = expected_log_ratio(_mixed(rows), reference(told))
        told = replace(told, values=told.values - mix)
    if signal == "bias":
        verdict = judge_both(told, monitor, BIAS, rate)
    elif signal == "coverage":
        verdict = judge(told, monitor, COVERAGE, rate)
    else:
        watch = Watch(float(np.log1p(monitor.tolerance)), float(np.log1p(monitor.min_effect)))
        watch = INSTABILITY if signal == "instability" else watch
        verdict = judge(told, monitor, watch, rate)
        effect, detectable = float(np.expm1(verdict.effect)), float(np.expm1(verdict.detectable_effect))
        verdict = verdict._replace(effect=effect, detectable_effect=detectable)
    return verdict if verdict.onset is None else verdict._replace(onset=verdict.onset - len(backtest))


def as_calibrated(backtest: Sequence[Mapping[str, Any]], coverage: float | None) -> list[Mapping[str, Any]]:
    """Past nights as they would have covered had their quantiles been calibrated, which they were not.

    Where a network's own intervals hold more than they are meant to, calibration narrows them, and that is no loss.

    Args:
        backtest: Rows of `hindcast_loss`.
        coverage: What the widest interval is meant to hold; None where live nights are not calibrated either.
    """
    if coverage is None:
        return list(backtest)
    moved: list[Mapping[str, Any]] = []
    for segment in {row["segment"] for row in backtest}:
        mine = [row for row in backtest if row["segment"] == segment]
        told = [row["coverage"] for row in mine if not row["in_sample"] and row["coverage"] is not None]
        above = max(float(np.median(told)) - coverage, 0.0) if told else 0.0
        moved += [row if row["coverage"] is None else {**row, "coverage": row["coverage"] - above} for row in mine]
    return moved


def rate_for(signal: Signal, segment: str, segments: int, monitor: MonitorSettings) -> float:
    """Share of years in which chance may raise an alert of one signal of a segment.

    Those of all add up to what the job may raise. The loss of the whole job has half of them, for it is what this is
    about; its segments' losses share a quarter, and the other signals the last one, of which half is the whole job's,
    whose alert keeps those of its segments from being told.

    Args:
        signal: One of those that are watched.
        segment: `all`, or one of the others.
        segments: How many others there are.
        monitor: Settings.

    >>> quiet = MonitorSettings(false_alarms_per_year=0.4)
    >>> of = [("loss", "all", 0), ("loss", "all", 5), ("loss", "region=north", 5), ("bias", "all", 5)]
    >>> [round(rate_for(*each, quiet), 4) for each in of]
    [0.3, 0.2, 0.02, 0.0167]
    """
    others = len([each for each in monitor.signals if each != "loss"])
    with_loss = "loss" in monitor.signals
    if signal == "loss":
        of_signal, of_all = (LOSS if others else 1.0), WHOLE_JOB
    else:
        of_signal, of_all = (1 - LOSS if with_loss else 1.0) / others, 0.5
    share = 1.0 if not segments else of_all if segment == "all" else (1 - of_all) / segments
    return monitor.false_alarms_per_year * of_signal * share


def state_of(signal: Signal, row: Mapping[str, Any]) -> str:
    """What a row of `loss` says of a signal; "not evaluated" where nothing."""
    if signal == "loss":
        return str(row["state"])
    return str(((row["other_signals"] or {}).get(signal) or {}).get("state", "not evaluated"))


def in_words(signal: Signal, effect: float) -> str:
    """How much worse a signal is.

    >>> in_words("loss", 0.12), in_words("bias", -0.3), in_words("coverage", 0.08)
    ('12 % worse against the seasonal naive', 'forecasts 0.30 seasonal errors lower', 'coverage 8 points lower')
    """
    if signal == "loss":
        return f"{effect:.0%} worse against the seasonal naive".replace("%", " %", 1)
    if signal == "bias":
        return f"forecasts {abs(effect):.2f} seasonal errors {'higher' if effect > 0 else 'lower'}"
    if signal == "instability":
        return f"forecasts change {effect:.0%} more from night to night".replace("%", " %", 1)
    return f"coverage {100 * effect:.0f} points lower"


def _said(signal: Signal, row: Mapping[str, Any]) -> int:
    """What a night was told as: 0 as nothing, 1 as degraded, -1 as degraded for being too low."""
    if state_of(signal, row) != "degraded":
        return 0
    return -1 if signal == "bias" and row["other_signals"]["bias"]["effect"] < 0 else 1


def _values(signal: Signal, rows: Sequence[Mapping[str, Any]]) -> FloatArray:
    if signal == "loss":
        return log_ratio(_column(rows, "loss"), _column(rows, "baseline_loss"))
    column = _column(rows, signal)
    if signal == "instability":
        # Beside a usual one of 1: what never moves has no instability, and no logarithm of it.
        return log_ratio(column, np.where(np.isnan(column), np.nan, 1.0))
    return -column if signal == "coverage" else column


def _mixed(rows: Sequence[Mapping[str, Any]]) -> Mixed:
    """Losses of evaluations; the mix is known of those alone whose days were told apart by what tells tonight's."""
    mixed = Mixed(**{each.name: _column(rows, each.name) for each in fields(Mixed)})
    by = rows[-1].get("special_definition")
    same = np.array([by is not None and row.get("special_definition") == by for row in rows])
    return replace(mixed, special_n=np.where(same, mixed.special_n, np.nan))


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> FloatArray:
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], np.float64)
