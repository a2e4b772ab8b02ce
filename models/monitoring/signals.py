"""The signals of a segment that are charted, loss, bias, coverage and instability, and the verdict on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from models.arrays import BoolArray, FloatArray, IntArray
from models.counted import counted
from models.monitoring.change_detection import (
    MIN_OUT_OF_SAMPLE,
    Nights,
    Sensitivity,
    Verdict,
    judge,
    judge_both_sides,
    log_ratio,
    reference_sample,
)
from models.monitoring.mix_adjustment import CaseMix, expected_log_ratio
from models.monitoring.reference import usual_level
from models.settings.monitoring import MonitorSettings

Signal = Literal["loss", "bias", "coverage", "instability"]
# Share of all false alarms that the loss may raise, and share of the loss's that the whole job may raise.
LOSS, WHOLE_JOB = 3 / 4, 2 / 3
# The bias is in units of the series' seasonal errors, the coverage in shares of the actuals.
BIAS, COVERAGE = Sensitivity(0.03, 0.1), Sensitivity(0.02, 0.05)
# Relative, and high: a new network alone moves forecasts more than a night's actuals do.
INSTABILITY = Sensitivity(float(np.log1p(0.1)), float(np.log1p(0.25)))


class AcceptedChange(NamedTuple):
    """A lasting change that somebody accepted as normal from then on.

    Attributes:
        onset: Index of the first night after the change.
        until: Index of the newest night when the change was accepted.
        effect: Size of the change, as `Verdict.effect`.
    """

    onset: int
    until: int
    effect: float


def verdict_on(
    signal: Signal,
    nights: Sequence[Mapping[str, Any]],
    hindcast: Sequence[Mapping[str, Any]],
    weekday: IntArray,
    monitor: MonitorSettings,
    rate: float,
    accepted: Sequence[AcceptedChange] = (),
) -> Verdict:
    """The verdict on one signal of the newest of a segment's nights.

    Args:
        signal: The signal.
        nights: Rows of `loss`, oldest first, the last one tonight's, whose state is not read.
        hindcast: Rows of `hindcast_loss` from before them.
        weekday: Shape (hindcast + night,), 0 for Monday.
        monitor: Settings.
        rate: Share of years in which chance may raise an alert, see `false_alarm_rate`.
        accepted: Changes that somebody accepted. Nights before a change count as if it had been there already, and
            nights that were degraded because of it count as normal.

    Returns:
        `effect` and `detectable_effect` are relative for the loss and the instability, in seasonal errors for the
        bias, and a share of the actuals for the coverage: how far it fell. `onset` is an index into `nights`.
    """
    rows = [*hindcast, *nights]
    n, enough, typical_n = _scored(rows, monitor)
    if not enough[-1]:
        arrived = int(np.nan_to_num(n[-1]))
        reason = f"{arrived} actuals tonight, usually {typical_n:.0f}" if arrived else "no new actual has arrived"
        return Verdict("not evaluated", float("nan"), float("nan"), None, reason=reason)
    chart = _chart(signal, nights, hindcast, weekday, np.where(enough, _values(signal, rows), np.nan), accepted)
    if signal == "loss":
        chart = replace(chart, values=chart.values - expected_log_ratio(_case_mix(rows), reference_sample(chart)))
    verdict = _judged(signal, chart, monitor, rate)
    return verdict if verdict.onset is None else verdict._replace(onset=verdict.onset - len(hindcast))


def usual_ratio(
    nights: Sequence[Mapping[str, Any]],
    hindcast: Sequence[Mapping[str, Any]],
    weekday: IntArray,
    monitor: MonitorSettings,
    accepted: Sequence[AcceptedChange] = (),
) -> float:
    """The loss over the seasonal naive's that the rule expects of the newest night: its level for days such as these.

    Arguments as of `verdict_on`.

    Returns:
        NaN where the rule knows too few nights to compare with.
    """
    rows = [*hindcast, *nights]
    _, enough, _ = _scored(rows, monitor)
    chart = _chart("loss", nights, hindcast, weekday, np.where(enough, _values("loss", rows), np.nan), accepted)
    chosen = reference_sample(chart)
    out_of_sample = int(np.count_nonzero(chosen >= chart.in_sample))
    if len(chosen) < monitor.reference_nights or out_of_sample < MIN_OUT_OF_SAMPLE:
        return float("nan")
    mix = expected_log_ratio(_case_mix(rows), chosen)
    level = usual_level((chart.values - mix)[chosen], weekday[chosen], out_of_sample)
    return float(np.exp(level[weekday[-1]] + mix[-1]))


def _scored(rows: Sequence[Mapping[str, Any]], monitor: MonitorSettings) -> tuple[FloatArray, BoolArray, float]:
    """The number of actuals of each night, whether it had enough to be judged, and the number that is typical."""
    n = _column(rows, "n")
    typical_n = float(np.median(n[n > 0])) if (n > 0).any() else 0.0
    return n, (n > 0) & (n >= monitor.min_actuals * typical_n), typical_n


def _chart(
    signal: Signal,
    nights: Sequence[Mapping[str, Any]],
    hindcast: Sequence[Mapping[str, Any]],
    weekday: IntArray,
    values: FloatArray,
    accepted: Sequence[AcceptedChange],
) -> Nights:
    """The nights of a signal, with accepted changes removed; `values` is changed."""
    reported = [_reported(signal, row) for row in nights[:-1]]
    degraded = np.array([0] * len(hindcast) + reported + [0], np.int64)
    for change in accepted:
        begin, end = len(hindcast) + change.onset, len(hindcast) + change.until + 1
        values[:begin] += float(np.log1p(change.effect)) if signal in ("loss", "instability") else change.effect
        degraded[begin:end] = 0
    in_sample = sum(bool(row["in_sample"]) for row in hindcast)
    return Nights(values, weekday, degraded, len(hindcast), in_sample)


def _judged(signal: Signal, chart: Nights, monitor: MonitorSettings, rate: float) -> Verdict:
    """The verdict, with its effect in the units that `verdict_on` promises."""
    if signal == "bias":
        return judge_both_sides(chart, monitor, BIAS, rate)
    if signal == "coverage":
        return judge(chart, monitor, COVERAGE, rate)
    loss = Sensitivity(float(np.log1p(monitor.tolerance)), float(np.log1p(monitor.min_effect)))
    verdict = judge(chart, monitor, INSTABILITY if signal == "instability" else loss, rate)
    effect, detectable = float(np.expm1(verdict.effect)), float(np.expm1(verdict.detectable_effect))
    return verdict._replace(effect=effect, detectable_effect=detectable)


def as_calibrated(hindcast: Sequence[Mapping[str, Any]], coverage: float | None) -> list[Mapping[str, Any]]:
    """Hindcast nights with the coverage that calibrated quantiles would have had; theirs were not calibrated.

    Where the intervals of a network cover more than they should, calibration narrows them. That is no loss of coverage.

    Args:
        hindcast: Rows of `hindcast_loss`.
        coverage: The coverage that the widest interval should have; None where live nights are not calibrated either.
    """
    if coverage is None:
        return list(hindcast)
    calibrated: list[Mapping[str, Any]] = []
    for segment in {row["segment"] for row in hindcast}:
        rows = [row for row in hindcast if row["segment"] == segment]
        out_of_sample = [row["coverage"] for row in rows if not row["in_sample"] and row["coverage"] is not None]
        excess = max(float(np.median(out_of_sample)) - coverage, 0.0) if out_of_sample else 0.0
        calibrated += [
            row if row["coverage"] is None else {**row, "coverage": row["coverage"] - excess} for row in rows
        ]
    return calibrated


def false_alarm_rate(signal: Signal, segment: str, segments: int, monitor: MonitorSettings) -> float:
    """Share of years in which chance may raise an alert of one signal of a segment.

    The rates of all signals and segments add up to `false_alarms_per_year`. The loss of the whole job, which matters
    most, has half of it. The losses of the segments share a quarter. The other signals share the last quarter; half of
    each signal's part is the whole job's, whose alert also explains those of its segments.

    Args:
        signal: One of those that are watched.
        segment: `all`, or one of the others.
        segments: Number of the others.
        monitor: Settings.

    >>> quiet = MonitorSettings(false_alarms_per_year=0.4)
    >>> charts = [("loss", "all", 0), ("loss", "all", 5), ("loss", "region=north", 5), ("bias", "all", 5)]
    >>> [round(false_alarm_rate(*chart, quiet), 4) for chart in charts]
    [0.3, 0.2, 0.02, 0.0167]
    """
    others = len([each for each in monitor.signals if each != "loss"])
    with_loss = "loss" in monitor.signals
    if signal == "loss":
        signal_share, whole_job = (LOSS if others else 1.0), WHOLE_JOB
    else:
        signal_share, whole_job = (1 - LOSS if with_loss else 1.0) / others, 0.5
    share = 1.0 if not segments else whole_job if segment == "all" else (1 - whole_job) / segments
    return monitor.false_alarms_per_year * signal_share * share


def state_of(signal: Signal, row: Mapping[str, Any]) -> str:
    """The state of a signal in a row of `loss`; "not evaluated" where the row has none."""
    if signal == "loss":
        return str(row["state"])
    return str(((row["other_signals"] or {}).get(signal) or {}).get("state", "not evaluated"))


def describe_effect(signal: Signal, effect: float) -> str:
    """How much worse a signal is, in words.

    >>> describe_effect("loss", 0.12), describe_effect("bias", -0.3)
    ('12 % worse against the seasonal naive', 'forecasts 0.30 seasonal errors lower')
    >>> describe_effect("coverage", 0.08)
    'coverage 8 percentage points lower'
    """
    size = measure_effect(signal, effect)
    if signal == "loss":
        return f"{size} worse against the seasonal naive"
    if signal == "bias":
        return f"forecasts {size}"
    if signal == "instability":
        return f"forecasts change {size} more from night to night"
    return f"coverage {size} lower"


def measure_effect(signal: str, effect: float) -> str:
    """The size of an effect with its unit, and for the bias its direction: only the bias has two.

    Args:
        signal: A `Signal`; `input`, whose effect is a number of steps; or `anomaly`, a share of actuals.
        effect: As the alert stores it.

    >>> measure_effect("loss", 0.12), measure_effect("instability", 0.5), measure_effect("bias", -1.664)
    ('12 %', '50 %', '1.66 seasonal errors lower')
    >>> measure_effect("anomaly", 0.0123)
    '1.23 % of actuals'
    >>> measure_effect("coverage", 0.26), measure_effect("coverage", 0.01), measure_effect("input", 3.0)
    ('26 percentage points', '1 percentage point', '3 steps')
    """
    if signal == "bias":
        return f"{abs(effect):.2f} seasonal errors {'higher' if effect > 0 else 'lower'}"
    if signal == "anomaly":
        return f"{100 * effect:.3g} % of actuals"
    if signal in ("coverage", "input"):
        scale, noun = (100, "percentage point") if signal == "coverage" else (1, "step")
        return counted(round(scale * abs(effect)), noun)
    return f"{100 * abs(effect):.0f} %"


def _reported(signal: Signal, row: Mapping[str, Any]) -> int:
    """The state that was reported for a night, as `Nights.degraded`."""
    if state_of(signal, row) != "degraded":
        return 0
    return -1 if signal == "bias" and row["other_signals"]["bias"]["effect"] < 0 else 1


def _values(signal: Signal, rows: Sequence[Mapping[str, Any]]) -> FloatArray:
    """What is charted of a signal, shape (night,); higher is worse."""
    if signal == "loss":
        return log_ratio(_column(rows, "loss"), _column(rows, "baseline_loss"))
    column = _column(rows, signal)
    if signal == "instability":
        # Against a baseline of 1, for the floor of `log_ratio`: forecasts that never change have instability 0.
        return log_ratio(column, np.where(np.isnan(column), np.nan, 1.0))
    return -column if signal == "coverage" else column


def _case_mix(rows: Sequence[Mapping[str, Any]]) -> CaseMix:
    """Case mix of evaluations; known only where special days were defined as they are tonight."""
    mix = CaseMix(**{each.name: _column(rows, each.name) for each in fields(CaseMix)})
    definition = rows[-1].get("special_definition")
    comparable = np.array([definition is not None and row.get("special_definition") == definition for row in rows])
    return replace(mix, special_n=np.where(comparable, mix.special_n, np.nan))


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> FloatArray:
    return np.array([np.nan if row.get(name) is None else row[name] for row in rows], np.float64)
