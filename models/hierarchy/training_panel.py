"""The panel that a network is trained on: where sums are forecast too, they are series like others."""

from __future__ import annotations

from models.hierarchy.covariates import with_covariates
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import beside, upper_panel
from models.hierarchy.levels import Levels
from models.panel.panel import Panel


def to_train_on(panel: Panel, levels: Levels) -> Panel:
    """The panel that tonight's network is trained on: where sums are forecast too, they are series like others."""
    if not levels.reconciled:
        return panel
    return beside(panel, sums_of(panel, Hierarchy.of(panel.series_ids, levels)))[0]


def sums_of(panel: Panel, hierarchy: Hierarchy) -> Panel:
    """The panel of the sums alone, with their covariates."""
    return with_covariates(upper_panel(panel, hierarchy), panel, hierarchy)
