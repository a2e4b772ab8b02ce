"""What moved the forecasts of a few series of tonight, for the page of the night."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.arrays import Float32Array, FloatArray, StringArray
from models.baselines.fallback import Fallback
from models.calibration.calibration import Calibration
from models.explanation.explain import explain
from models.network.forecaster import Forecaster
from models.panel.panel import Panel
from tasks.explanation.again import Again, calibration_of_series
from tasks.explanation.explain_series import part_name
from tasks.forecasting.calibration import unpacked
from tasks.forecasting.shard import Method
from tasks.night.job import Job

# A forecast of a series takes about a millisecond: these take less than a tenth of the smallest night.
_MOST_SERIES, _MOST_FORECASTS = 15, 120


@dataclass(frozen=True)
class NightParts:
    """What moved the forecasts of some series.

    Attributes:
        series_ids: Shape (series,), sorted.
        names: The names of the figures: everything taken out, the parts, the rest.
        values: Shape (series, figure, horizon), in units of the series; they add up to the forecast.
    """

    series_ids: StringArray
    names: list[str]
    values: Float32Array


@dataclass(frozen=True)
class NightFiles:
    """What the night forecast with.

    Attributes:
        model: Folder of the version.
        calibration: File of the calibration that was applied; None where none was.
    """

    model: Path
    calibration: Path | None


def most_explained(panel: Panel) -> int:
    """How many series the page of a night explains: each is forecast once for each part, and thrice more."""
    forecasts = 5 + len(panel.known_future_names) + bool(panel.holidays)
    return max(1, min(_MOST_SERIES, _MOST_FORECASTS // forecasts))


def parts_of_night(job: Job, panel: Panel, files: NightFiles, ids: StringArray, medians: FloatArray) -> NightParts:
    """Explain the forecasts of some series of tonight, from the rows that the night read.

    Args:
        job: Tonight's.
        panel: All series.
        files: What tonight's series were forecast with.
        ids: Shape (series,), sorted, series of the panel that the model forecast.
        medians: Shape (series, horizon), as they are published.
    """
    forecaster = Forecaster.load(files.model)
    few = panel.without({*panel.series_ids.tolist()} - {*ids.tolist()})
    stored = None if files.calibration is None else unpacked(files.calibration.read_bytes())
    calibration = None if stored is None else calibration_of_series(Calibration.from_arrays(stored), few.series_ids)
    # The model forecasts them all, so the fallback only gives the bounds.
    bounds = forecaster.bounds(panel, job.forecast)
    levels = np.array(forecaster.plan.quantile_levels)
    fallback = Fallback(few.horizon, few.season_lengths[0], levels, *bounds, np.zeros(len(few), np.int64))
    method = Method(fallback, forecaster.beside(int(panel.lengths.max())), calibration)
    again = Again(few, method, "", medians, np.zeros_like(medians), np.zeros(len(few), bool))
    if job.aggregation_levels.reconciled:
        again = replace(again, shift=medians - again.medians(few))
    found = explain(few, again.medians, again.known_ahead, forecaster.vocabulary.holidays)
    names = ["all taken out", *(part_name(part) for part in found.parts), "rest"]
    values = [found.without_all, *(part.effect for part in found.parts), found.rest]
    return NightParts(few.series_ids, names, np.stack(values, axis=1).astype(np.float32))
