"""Where the job asks for MinT: sums are forecast by the network too, and the forecasts of all are reconciled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.forecast import Forecast
from models.hierarchy import Hierarchy
from models.levels import Levels
from models.mint import of_few_values, reconciled_means, require_mint
from models.panel import Panel
from models.past_errors import past_cutoffs, past_errors
from models.settings import ForecastSettings
from models.upper_covariates import with_covariates
from models.upper_history import beside, upper_panel
from tasks.step import logger

Bounds = tuple[float | None, float | None]

MINT = "mint"


def require_method(levels: Levels) -> None:
    """See that what the job's method needs is installed; an InputError that names the remedy where it is not."""
    if levels.method == MINT:
        require_mint()


def to_train_on(panel: Panel, levels: Levels) -> Panel:
    """The panel that tonight's network is trained on: where sums are forecast too, they are series like others."""
    if not levels or levels.method != MINT:
        return panel
    return beside(panel, _upper(panel, Hierarchy.of(panel.series_ids, levels)))[0]


def reconciled(
    tonight: Forecast,
    panel: Panel,
    levels: Levels,
    ask: Callable[[Panel, ForecastSettings], Forecast],
    forecast: ForecastSettings,
    bounds: Bounds,
) -> tuple[Forecast, str]:
    """Tonight's forecasts of all series, moved by what the network forecasts of their sums, and a word about it.

    Means are moved by MinT, and every quantile of a series and step as far as its mean, within the bounds. Where there
    is too little history to know past errors by, or they are of no use, everything stays as it is.

    Args:
        tonight: The forecast of the panel's series.
        panel: The series.
        levels: Those of the job, and the method.
        ask: Forecasts a panel by tonight's network, within the bounds of the settings.
        forecast: What the job asks for.
        bounds: What no series is below and above.
    """
    if not levels or levels.method != MINT:
        return tonight, ""
    hierarchy = Hierarchy.of(panel.series_ids, levels)
    upper, cutoffs = _upper(panel, hierarchy), past_cutoffs(panel)
    if not cutoffs:
        return tonight, f"sums are added up from below: {panel.lengths.max()} steps are too few to know past errors by"
    # A sum is bounded by its parts, not as one of them.
    of_sums = forecast.model_copy(update={"lower_bound": None, "upper_bound": None})

    def means(of: Panel, settings: ForecastSettings) -> npt.NDArray[np.float64]:
        return ask(of, settings).mean

    errors = [
        past_errors(upper, cutoffs, lambda before: means(before, of_sums)),
        past_errors(panel, cutoffs, lambda before: means(before, forecast)),
    ]
    try:
        middle = reconciled_means(
            means(upper, of_sums), tonight.mean, np.concatenate(errors), hierarchy, of_few_values(panel)
        )
    except Exception as error:
        logger().warning("MinT failed, so sums are added up from below: %s", error)
        return tonight, f"sums are added up from below: MinT failed: {error}"
    moved = (middle - tonight.mean)[:, :, None]
    made = replace(tonight, mean=np.clip(middle, *bounds), quantiles=np.clip(tonight.quantiles + moved, *bounds))
    return made, f"reconciled by MinT with {len(hierarchy)} upper series, from errors at {len(cutoffs)} past cutoffs"


def _upper(panel: Panel, hierarchy: Hierarchy) -> Panel:
    return with_covariates(upper_panel(panel, hierarchy), panel, hierarchy)
