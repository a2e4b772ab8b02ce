"""Which seasons are worth averaging over many cycles, found on the series themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.arrays import IntArray
from models.network.plan import Plan
from models.panel.panel import Panel
from models.trailing.candidates import Candidates
from models.trailing.scaling import scale_panel
from models.trailing.smoothing import PROFILE_SPAN

# How much less than every other candidate the best profile must have erred. Where none is better, profiles cost
# accuracy: each is one more candidate that has to be unlearnt.
ADVANTAGE = 0.02
# Where many values are zero, a mean is far from the median, although its errors may be small.
MOST_ZEROS = 0.25
# Past origins of each series, these shares of its length before its end.
ORIGINS = 0, 1 / 8, 1 / 4, 3 / 8
# More values than these tell no more.
ENOUGH_VALUES = 500_000


def useful_profiles(panel: Panel, plan: Plan, typical: int) -> tuple[int, ...]:
    """The seasons of the plan to average: none, unless the mean over many cycles of one has been the best forecast.

    Args:
        panel: The series.
        plan: Its window, without seasons that are averaged.
        typical: Median number of observed values of a series.
    """
    seasons = tuple(length for length in plan.seasons if 1 < length <= typical // PROFILE_SPAN)
    zeros = np.count_nonzero(panel.values == 0) / max(int(panel.observed_counts.sum()), 1)
    if not seasons or zeros > MOST_ZEROS:
        return ()
    panel = _some_series(panel)
    window = replace(plan, profile_seasons=seasons).window
    scaling = scale_panel(panel, plan.level_window, plan.scale_window, plan.seasons)
    errors = Candidates(panel, scaling._asdict(), window).errors(_past_origins(panel)).mean(axis=0)
    # The profiles come after the other candidates, and the level last.
    first = plan.window.candidate_count
    others = min(errors[:first].min(), errors[-1])
    # Where one season repeats itself, means over the others pay too: they differ from it.
    return seasons if errors[first:-1].min() < others - ADVANTAGE else ()


def _some_series(panel: Panel) -> Panel:
    """Evenly spaced series with about as many values as are enough."""
    every = -(-len(panel.values) // ENOUGH_VALUES)
    left_out = np.arange(len(panel)) % every != 0
    return panel.without(set(panel.series_ids[left_out].tolist())) if every > 1 else panel


def _past_origins(panel: Panel) -> IntArray:
    begin, lengths = panel.offsets[:-1][panel.lengths > 0], panel.lengths[panel.lengths > 0]
    ends = begin + lengths - 1
    return np.unique(np.concatenate([np.maximum(ends - (share * lengths).astype(int), begin) for share in ORIGINS]))
