"""The panel that a network is trained on: the series, and their aggregates where these are reconciled with them."""

from __future__ import annotations

from models.hierarchy.aggregation_levels import AggregationLevels
from models.hierarchy.covariates import with_covariates
from models.hierarchy.hierarchy import Hierarchy
from models.hierarchy.history import aggregate_panel
from models.hierarchy.merge import merge_panels
from models.panel.panel import Panel


def training_panel(panel: Panel, aggregation_levels: AggregationLevels) -> Panel:
    """The panel that the network is trained on: with the aggregates among its series where they are reconciled."""
    if not aggregation_levels.reconciled:
        return panel
    hierarchy = Hierarchy.of(panel.series_ids, aggregation_levels)
    return merge_panels(panel, aggregates_with_covariates(panel, hierarchy))[0]


def aggregates_with_covariates(panel: Panel, hierarchy: Hierarchy) -> Panel:
    """The panel of the aggregates alone, with their covariates."""
    return with_covariates(aggregate_panel(panel, hierarchy), panel, hierarchy)
