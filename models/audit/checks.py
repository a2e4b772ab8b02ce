"""What is odd about the values of a panel, and what the audit's policies do about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import BoolArray, IntArray
from models.audit.findings import EXAMPLES, NOT_OBSERVED, Finding, finding, shown
from models.audit.staleness import dead_after
from models.audit.unit_changes import unit_changes
from models.panel.panel import Panel
from models.settings.audit import AuditSettings
from models.settings.forecast import ForecastSettings

NEVER_OBSERVED = "no observed value up to the cutoff"
# So few negative values among others are more likely mistakes than the nature of the series.
RARE = 0.01


def with_gaps_settled(
    panel: Panel, has_row: BoolArray, last: int, audit: AuditSettings, findings: list[Finding]
) -> Panel:
    """The panel with its steps without a row, and its rows without a value, as the policies say.

    Args:
        panel: The values as the source has them.
        has_row: Shape (total,): where the source has a row.
        last: Grid position of the newest value of any series; after it, nothing is a gap yet.
        audit: The policies.
        findings: What was found is added here.
    """
    empty = has_row & ~panel.observed
    if empty.any():
        findings.append(_in_series(panel, "rows without a value", empty, NOT_OBSERVED, "nulls", audit.nulls))
    gap = ~has_row
    for end in panel.offsets[1:] if last < panel.cutoff_index else ():
        gap[max(end - (panel.cutoff_index - last), 0) : end] = False
    if not gap.any():
        return panel
    action = "taken as zero" if audit.gaps == "zero" else NOT_OBSERVED
    findings.append(_in_series(panel, "steps without a row", gap, action, "gaps", audit.gaps))
    return replace(panel, values=np.where(gap, np.float32(0), panel.values)) if audit.gaps == "zero" else panel


def with_values_settled(
    panel: Panel, forecast: ForecastSettings, audit: AuditSettings, findings: list[Finding]
) -> Panel:
    """The panel with values beyond the bounds, and changes of unit, as the policies say."""
    for name, bound, beyond in (
        ("below the lower", forecast.lower_bound, np.less),
        ("above the upper", forecast.upper_bound, np.greater),
    ):
        if bound is None or not (bad := beyond(panel.values, np.float32(bound))).any():
            continue
        action = NOT_OBSERVED if audit.out_of_bounds == "missing" else "kept; forecasts stay within it"
        findings.append(_in_series(panel, f"values {name} bound", bad, action, "out_of_bounds", audit.out_of_bounds))
        if audit.out_of_bounds == "missing":
            panel = replace(panel, values=np.where(bad, np.float32(np.nan), panel.values))
    if forecast.lower_bound is None:
        negative = panel.values < 0
        if 0 < negative.sum() < RARE * panel.observed.sum():
            action = "kept; where they cannot be, set forecast.lower_bound to 0 and audit.out_of_bounds to missing"
            findings.append(_in_series(panel, "negative values among many that are not", negative, action, "", None))
    return _in_one_unit(panel, audit, findings)


def _in_one_unit(panel: Panel, audit: AuditSettings, findings: list[Finding]) -> Panel:
    changes = unit_changes(panel)
    if not len(changes.series):
        return panel
    grid = panel.grid
    index = panel.cutoff_index + 1 - panel.offsets[changes.series + 1] + changes.position
    examples = [
        f"{shown(panel.series_ids[i])} from {grid.instant(int(at)):%Y-%m-%dT%H:%MZ}: times 1e{power:+d}"
        for i, at, power in list(zip(changes.series, index, changes.power, strict=True))[:EXAMPLES]
    ]
    actions = {
        "keep": "kept as they are; audit.unit_changes can rescale or forget what was before",
        "missing": "what was before is taken as not observed",
        "rescale": "what was before is brought into the new unit",
    }
    policy = audit.unit_changes
    action = actions.get(policy, "")
    findings.append(finding("changes of unit", len(changes.series), examples, action, "unit_changes", policy))
    if policy not in ("missing", "rescale"):
        return panel
    values = panel.values.copy()
    for i, at, power in zip(changes.series, changes.position, changes.power, strict=True):
        with np.errstate(over="ignore"):
            values[panel.offsets[i] : at] *= np.float32(np.nan if policy == "missing" else 10.0 ** float(power))
    return replace(panel, values=np.where(np.isinf(values), np.float32(np.nan), values))


def refused_series(
    panel: Panel, counts: IntArray, forecast: ForecastSettings, audit: AuditSettings, findings: list[Finding]
) -> dict[str, str]:
    """Series that the model must not forecast, each with the reason; the fallback does.

    `counts` are the observed values of each series, shape (series,), those that the panel does not hold among them.
    """
    short = counts < forecast.min_history
    refused = {
        str(panel.series_ids[i]): (
            f"{counts[i]} observed values; min_history is {forecast.min_history}" if counts[i] else NEVER_OBSERVED
        )
        for i in np.flatnonzero(short)
    }
    if short.any():
        findings.append(
            Finding("short series", len(refused), _names(panel, short), "left to the fallback", "forecast.min_history")
        )
    limit = dead_after(panel.grid, forecast, audit)
    silent = panel.silent_steps
    dead = ~short & (silent > limit)
    if dead.any():
        action = "forecast as others" if audit.dead == "forecast" else "left to the fallback"
        examples = [f"{shown(panel.series_ids[i])} for {silent[i]} steps" for i in np.flatnonzero(dead)[:EXAMPLES]]
        findings.append(finding("dead series", int(dead.sum()), examples, action, "dead", audit.dead))
    if audit.dead == "fallback":
        words = f"observed value in the last {limit} steps (audit.dead_after_steps)"
        refused |= {str(panel.series_ids[i]): f"no {words}" for i in np.flatnonzero(dead)}
    return refused


def _in_series(panel: Panel, kind: str, bad: BoolArray, action: str, setting: str, policy: str | None) -> Finding:
    """A finding about steps of the panel, shape (total,)."""
    names, begin = list[str](), 0
    while len(names) < EXAMPLES and bad[begin:].any():
        series = int(np.searchsorted(panel.offsets, begin + np.argmax(bad[begin:]), side="right")) - 1
        names.append(shown(panel.series_ids[series]))
        begin = int(panel.offsets[series + 1])
    count = int(np.count_nonzero(bad))
    return finding(kind, count, names, action, setting, policy) if setting else Finding(kind, count, (*names,), action)


def _names(panel: Panel, which: BoolArray) -> tuple[str, ...]:
    return tuple(shown(name) for name in panel.series_ids[which][:EXAMPLES])
