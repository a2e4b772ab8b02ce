"""Checks of a panel's values, and what the audit's policies do about what they find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import BoolArray, IntArray
from models.audit.findings import EXAMPLES, NOT_OBSERVED, Findings, abbreviate
from models.audit.staleness import dead_after
from models.audit.unit_changes import UnitChanges, unit_changes
from models.panel.panel import Panel
from models.settings.forecast import ForecastSettings

NEVER_OBSERVED = "no observed value up to the cutoff"
BY_FALLBACK = "forecast by the fallback"
# A smaller share of negative values is more likely a mistake than the nature of the series.
RARE = 0.01


def settle_gaps(panel: Panel, has_row: BoolArray, last: int, findings: Findings) -> Panel:
    """The panel after the policies for steps without a row and rows without a value.

    Args:
        panel: The values as the source has them.
        has_row: Shape (total,), whether the source has a row.
        last: Grid position of the newest value of any series; later steps are not gaps yet.
        findings: Problems are added here.
    """
    policies = findings.policies
    empty = has_row & ~panel.observed
    if empty.any():
        findings.add_by_policy("nulls", "rows without a value", *_where(panel, empty), NOT_OBSERVED)
    gap = ~has_row
    for end in panel.offsets[1:] if last < panel.cutoff_index else ():
        gap[max(end - (panel.cutoff_index - last), 0) : end] = False
    if not gap.any():
        return panel
    action = "treated as zero" if policies.gaps == "zero" else NOT_OBSERVED
    findings.add_by_policy("gaps", "steps without a row", *_where(panel, gap), action)
    return replace(panel, values=np.where(gap, np.float32(0), panel.values)) if policies.gaps == "zero" else panel


def settle_values(panel: Panel, forecast: ForecastSettings, findings: Findings) -> Panel:
    """The panel after the policies for values beyond the bounds and for changes of unit."""
    policy = findings.policies.out_of_bounds
    for name, bound, beyond in (
        ("below the lower", forecast.lower_bound, np.less),
        ("above the upper", forecast.upper_bound, np.greater),
    ):
        if bound is None or not (bad := beyond(panel.values, np.float32(bound))).any():
            continue
        action = NOT_OBSERVED if policy == "missing" else "kept; forecasts stay within the bounds"
        findings.add_by_policy("out_of_bounds", f"values {name} bound", *_where(panel, bad), action)
        if policy == "missing":
            panel = replace(panel, values=np.where(bad, np.float32(np.nan), panel.values))
    if forecast.lower_bound is None:
        negative = panel.values < 0
        if 0 < negative.sum() < RARE * panel.observed.sum():
            action = (
                "kept; if no value can be negative, set forecast.lower_bound to 0 and audit.out_of_bounds to missing"
            )
            findings.add("negative values, less than 1 % of all", *_where(panel, negative), action)
    return _settle_units(panel, findings)


def _settle_units(panel: Panel, findings: Findings) -> Panel:
    changes = unit_changes(panel)
    if not len(changes.series):
        return panel
    policy = findings.policies.unit_changes
    actions = {
        "keep": "kept; audit.unit_changes can rescale the values before the change or treat them as missing",
        "missing": "values before the change are treated as not observed",
        "rescale": "values before the change are converted to the new unit",
    }
    examples = _examples_of_changes(panel, changes)
    findings.add_by_policy(
        "unit_changes", "series whose unit changed", len(changes.series), examples, actions.get(policy, "")
    )
    if policy not in ("missing", "rescale"):
        return panel
    values = panel.values.copy()
    for i, at, power in zip(changes.series, changes.position, changes.power, strict=True):
        with np.errstate(over="ignore"):
            values[panel.offsets[i] : at] *= np.float32(np.nan if policy == "missing" else 10.0 ** float(power))
    return replace(panel, values=np.where(np.isinf(values), np.float32(np.nan), values))


def _examples_of_changes(panel: Panel, changes: UnitChanges) -> list[str]:
    index = panel.cutoff_index + 1 - panel.offsets[changes.series + 1] + changes.position
    return [
        f"{abbreviate(panel.series_ids[i])} from {panel.grid.instant(int(at)):%Y-%m-%dT%H:%MZ}: times 1e{power:+d}"
        for i, at, power in list(zip(changes.series, index, changes.power, strict=True))[:EXAMPLES]
    ]


def refused_series(panel: Panel, counts: IntArray, forecast: ForecastSettings, findings: Findings) -> dict[str, str]:
    """Ids of the series that the model must not forecast, each with the reason; the fallback forecasts them.

    Args:
        panel: The values.
        counts: Shape (series,), number of values of each series, also of those that are older than the panel.
        forecast: The smallest number of values, and the grid.
        findings: Problems are added here.
    """
    policies = findings.policies
    short = counts < forecast.min_history
    refused = {
        str(panel.series_ids[i]): (
            f"{counts[i]} observed values; min_history is {forecast.min_history}" if counts[i] else NEVER_OBSERVED
        )
        for i in np.flatnonzero(short)
    }
    if short.any():
        examples = [abbreviate(name) for name in panel.series_ids[short][:EXAMPLES]]
        findings.add("short series", len(refused), examples, BY_FALLBACK, "forecast.min_history")
    limit = dead_after(panel.grid, forecast, policies)
    silent = panel.silent_steps
    dead = ~short & (silent > limit)
    if dead.any():
        action = "forecast like the others" if policies.dead == "forecast" else BY_FALLBACK
        examples = [f"{abbreviate(panel.series_ids[i])} for {silent[i]} steps" for i in np.flatnonzero(dead)[:EXAMPLES]]
        findings.add_by_policy("dead", "dead series", int(dead.sum()), examples, action)
    if policies.dead == "fallback":
        reason = f"no observed value in the last {limit} steps (audit.dead_after_steps)"
        refused |= {str(panel.series_ids[i]): reason for i in np.flatnonzero(dead)}
    return refused


def _where(panel: Panel, bad: BoolArray) -> tuple[int, list[str]]:
    """Number of the marked steps, and ids of the first series that have some; `bad` has shape (total,)."""
    names, begin = list[str](), 0
    while len(names) < EXAMPLES and bad[begin:].any():
        series = int(np.searchsorted(panel.offsets, begin + np.argmax(bad[begin:]), side="right")) - 1
        names.append(abbreviate(panel.series_ids[series]))
        begin = int(panel.offsets[series + 1])
    return int(np.count_nonzero(bad)), names
