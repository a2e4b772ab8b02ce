"""A published night, forecast again from the same rows, by the same version, with the same calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import BoolArray, FloatArray, StringArray
from models.calibration.calibration import Calibration
from models.errors import DamagedVersion
from models.hierarchy.hierarchy import Hierarchy
from models.network.features import Unseen
from models.network.forecaster import Forecaster
from models.panel.forecast import Forecast
from models.panel.panel import Panel, places_of
from sql.downstream.scenarios import PublishedNight
from tasks.forecasting.calibration import unpacked
from tasks.forecasting.shard import Method
from tasks.night.job import Job
from tasks.reading.audit import audit_input
from tasks.reading.read_series import Extent, read_series
from tasks.store.panel_file import load_panel
from tasks.store.places import Places
from tasks.store.version_store import fetch_version
from tasks.training.champion import stored_version


class NotForecastAgain(ValueError):
    """No series of the night that is asked for can be forecast again; the message says why."""


# Of the mean forecast of a series: what sums of float32 differ by when series are forecast in other company.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Again:
    """The series of a published night that its model forecast, ready to be forecast again.

    Attributes:
        panel: Their history and what was known ahead, as the night saw it.
        method: How the night forecast them.
        version: Name of the version.
        published: Shape (series, horizon), the medians that were published.
        shift: Shape (series, horizon), what reconciliation moved the published medians by; 0 without it.
        other_rows: Shape (series,), whether the source or the job has changed since, so that the forecast from what
            they are now is another one.
        left_out: Series that cannot be forecast again, and why, for people.
    """

    panel: Panel
    method: Method
    version: str
    published: FloatArray
    shift: FloatArray
    other_rows: BoolArray
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def forecaster(self) -> Forecaster:
        """The version's networks."""
        assert self.method.forecaster is not None
        return self.method.forecaster

    @property
    def known_ahead(self) -> list[str]:
        """The known-future columns that the version has learnt from."""
        return [*self.forecaster.vocabulary.known_future]

    def forecast(self, panel: Panel, unseen: frozenset[Unseen] = frozenset()) -> Forecast:
        """Forecast these series from a panel in which something was changed, as the night forecast them.

        Args:
            panel: The same series.
            unseen: Inputs of the time grid that the network is not to see.
        """
        method = replace(self.method, forecaster=self.forecaster.blind_to(unseen)) if unseen else self.method
        found = method.forecast(panel)
        moved = self.shift[..., None]
        bounds = method.fallback.lower_bound, method.fallback.upper_bound
        return replace(
            found,
            quantiles=np.clip(found.quantiles + moved, *bounds),
            mean=np.clip(found.mean + self.shift, *bounds),
        )

    def medians(self, panel: Panel, unseen: frozenset[Unseen] = frozenset()) -> FloatArray:
        """The medians of `forecast`, shape (series, horizon)."""
        return self.forecast(panel, unseen).median


def forecast_again(job: Job, places: Places, night: PublishedNight, scratch: Path) -> Again:
    """The night's series that its model forecast, from the rows of the source that the night saw.

    The source may have changed since: a source that does not say when a row became known gives the rows of today.

    Args:
        job: The job, on the time grid of the night.
        places: Where its versions are.
        night: At least one of its rows is of the model.
        scratch: A folder for the rows.

    Raises:
        NotForecastAgain: all of these series are aggregates, or the source has no rows of them any more.
        DamagedVersion: the version that forecast the night is gone.
        ModelError: the version cannot forecast the job as it is now.
        InputError, SourceError, StorageError: as reading for a night.
    """
    rows = [row for row in night.rows if row["source"] == "model"]
    ids = np.array(sorted({row["series_id"] for row in rows}), dtype=str)
    medians = np.array([row["median"] for row in rows], np.float64).reshape(len(ids), -1)
    horizon = medians.shape[1]
    if horizon != job.forecast.horizon:
        # This night was asked for another horizon than the job's.
        job = job.model_copy(update={"forecast": job.forecast.model_copy(update={"horizon": horizon})})
    version = str(rows[0]["model_version"])
    forecaster = _load(places, night, version, scratch)
    whole = _panel_of(job, places, night, scratch)
    at = places_of(ids, whole.series_ids)
    kept = at >= 0
    left_out = _reasons(ids[~kept].tolist(), whole, job)
    if not kept.any():
        raise NotForecastAgain(f"{ids[0]} cannot be forecast again: {left_out[str(ids[0])]}. Name another series.")
    fallback = forecaster.fallback(whole, job.forecast)
    panel = whole.without({*whole.series_ids.tolist()} - {*ids.tolist()})
    beside = forecaster.beside(int(whole.lengths.max()))
    method = Method(fallback.of(at[kept]), beside, _calibration(night, panel))
    nothing = np.zeros_like(medians[kept])
    again = Again(panel, method, version, medians[kept], nothing, np.zeros(len(panel), bool), left_out)
    found = again.medians(panel)
    if job.aggregation_levels.reconciled:
        return replace(again, shift=again.published - found)
    size = np.abs(again.published).mean(axis=1, keepdims=True)
    same = np.abs(found - again.published) <= _TOLERANCE * np.maximum(size, np.abs(again.published)) + 1e-9
    return replace(again, other_rows=~same.all(axis=1))


def _reasons(ids: list[str], panel: Panel, job: Job) -> dict[str, str]:
    """Why series that the night forecast are not in its panel."""
    aggregates: set[str] = set()
    if job.aggregation_levels:
        aggregates = {*Hierarchy.of(panel.series_ids, job.aggregation_levels).series_ids.tolist()}
    return {
        each: "it is an aggregate, a sum of series" if each in aggregates else "the source has no rows of it any more"
        for each in ids
    }


def _load(places: Places, night: PublishedNight, version: str, scratch: Path) -> Forecaster:
    """The version that forecast the night, whichever is the champion now."""
    when = f"{night.publication['cutoff']:%Y-%m-%d %H:%M} UTC"
    row: Mapping[str, Any] | None = night.models.get(version)
    if row is None:
        raise DamagedVersion(
            f"The night of {when} was forecast by version {version}, which is not in the table model any more. "
            "Name a night of another version (--cutoff).",
        )
    try:
        return Forecaster.load(fetch_version(stored_version(places, row), scratch))
    except DamagedVersion as error:
        raise DamagedVersion(
            f"The night of {when} was forecast by version {version}, which is gone: {error.found}. Restore it from a "
            "backup, or name a night of another version (--cutoff).",
            error.found,
        ) from error


def _panel_of(job: Job, places: Places, night: PublishedNight, scratch: Path) -> Panel:
    """The history of all series as the night saw it."""
    cutoff, published_at = night.publication["cutoff"], night.publication["published_at"]
    now: datetime = published_at or datetime.now(UTC)
    rows_file = read_series(job, places.base, Extent(cutoff, now), scratch)
    return load_panel(audit_input(job, rows_file, cutoff, now).panel_file)


def calibration_of_series(stored: Calibration, series_ids: StringArray) -> Calibration:
    """The calibration of some series, from that of all series that a model forecast."""
    place = places_of(series_ids, stored.series_ids)
    stretch = np.where(place >= 0, stored.stretch[np.maximum(place, 0)], 1.0)
    return replace(stored, series_ids=series_ids, stretch=stretch)


def _calibration(night: PublishedNight, panel: Panel) -> Calibration | None:
    """The calibration that the night applied to the series of a panel; None where it applied none."""
    if night.applied_calibration is None:
        return None
    return calibration_of_series(Calibration.from_arrays(unpacked(night.applied_calibration)), panel.series_ids)
