"""What the nights of a year lost, covered, missed and doubled, added up night by night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.year.company import HORIZON, Company
from benchmarks.year.events import ZONE
from benchmarks.year.nights import Nights
from models.arrays import AnyArray, FloatArray
from models.evaluation.point_errors import scaled_errors
from sql.output import history
from sql.output.quantile_columns import is_quantile_column, quantile_level
from tasks.store.places import stamp

SEASON = 7


@dataclass
class Tally:
    """Sums over nights.

    Attributes:
        company: The company.
        undrifted: Shape (series, day), what would have been sold without the drift.
        scale: Shape (series, day), the mean change over a season in the history, in the unit of the day.
        loss: Shape (4, day): the model's and the naive's loss, and both without the drift, in units of the scale. The
            loss of a point is capped as in an evaluation, see `models.evaluation.point_errors.scaled_errors`.
        below: For each quantile level, the actuals at or below it and all actuals, of the series without and with
            the shift, for each day; shape (2, 2, day).
        missing: Missing rows.
        doubled: Rows that occur more than once.
    """

    company: Company
    undrifted: FloatArray
    scale: FloatArray
    loss: FloatArray
    below: dict[float, FloatArray] = field(default_factory=dict)
    missing: int = 0
    doubled: int = 0

    @classmethod
    def empty(cls, company: Company) -> Self:
        """The tally before the first night."""
        past = company.values[:, : company.day(company.first_night) + 1]
        change = np.abs(past[:, SEASON:] - past[:, :-SEASON])
        # 0 for series that are not born yet; no loss counts for them.
        scale = np.nansum(change, axis=1) / np.maximum((~np.isnan(change)).sum(axis=1), 1)
        return cls(
            company,
            undrifted=replace(company, plan=replace(company.plan, drift=None)).values,
            # A series in another unit keeps its weight, as it does when the audit rescales it.
            scale=scale[:, None] * company.units,
            loss=np.zeros((4, len(company.days))),
        )

    @classmethod
    def of(cls, nights: Nights) -> Self:
        """The tally of the nights of a year."""
        tally, places = cls.empty(nights.company), nights.job.places
        for cutoff, moment in cutoffs(nights.company):
            night = nights.company.day(cutoff)
            rows = history.forecast_of(places.engine(), places.job, moment).to_pandas()
            tally.count_rows(rows, night)
            tally.count_rows(_in_files(places.parquet, places.job, moment), night)
            if len(rows):
                tally.add(rows, night)
        return tally

    def add(self, rows: pd.DataFrame, night: int) -> None:
        """Add what a night's forecasts lose and cover.

        Args:
            rows: Rows of the table `forecast`, those of the night.
            night: The night's column.
        """
        company = self.company
        place = {name: number for number, name in enumerate(company.series_ids)}
        series, day = rows["series_id"].map(place).to_numpy(), night + rows["step"].to_numpy()
        # Days after the last night have not happened yet.
        happened = day <= company.day(company.cutoffs[-1])
        actual, undrifted = (
            np.where(happened, values[series, day], np.nan) for values in (company.values, self.undrifted)
        )
        names = [name for name in rows.columns if is_quantile_column(name)]
        levels = np.array([quantile_level(name) for name in names])
        quantiles = rows[names].to_numpy()
        self._add_coverage(dict(zip(levels.tolist(), quantiles.T, strict=True)), actual, series, day)
        median, naive = rows["median"].to_numpy(), rows["baseline"].to_numpy()
        unit = self.scale[series, day]
        counted = ~np.isnan(actual) & ~np.isnan(undrifted) & (unit > 0) & ~np.isnan(naive)
        for first, values in ((0, actual), (2, undrifted)):
            losses = scaled_errors(
                values[counted], quantiles[counted], median[counted], naive[counted], levels, unit[counted]
            )[:2]
            for row, loss in enumerate(losses, first):
                np.add.at(self.loss[row], day[counted], loss)

    def _add_coverage(
        self, quantiles: dict[float, FloatArray], actual: FloatArray, series: AnyArray, day: AnyArray
    ) -> None:
        known, shifted = ~np.isnan(actual), self.company.shifted[series]
        for level, quantile in quantiles.items():
            counts = self.below.setdefault(level, np.zeros((2, 2, len(self.company.days))))
            for group, members in enumerate((known & ~shifted, known & shifted)):
                np.add.at(counts[0, group], day[members], actual[members] <= quantile[members])
                np.add.at(counts[1, group], day[members], 1.0)

    def count_rows(self, rows: pd.DataFrame, night: int) -> None:
        """Count the rows of a night that are missing or doubled, in the table or in the files."""
        wanted = {(name, step) for name in series_in_source(self.company, night) for step in range(1, HORIZON + 1)}
        keys = list(zip(rows["series_id"], rows["step"].astype(int), strict=True))
        self.missing += len(wanted - set(keys))
        self.doubled += len(keys) - len(set(keys))

    def effect(self) -> FloatArray:
        """Logarithm of the relative loss over that of the same forecasts without the drift, shape (day,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(self.loss)
            return np.asarray(logs[0] - logs[1] - logs[2] + logs[3])

    def coverage_errors(self) -> dict[float, float]:
        """For each level, points between its share of actuals and the level, over all series and days."""
        return {level: 100 * (counts[0].sum() / counts[1].sum() - level) for level, counts in self.below.items()}

    def worst_coverage_error(self, first: int, days: int, *, shifted: bool) -> float | None:
        """The largest of these errors over some days, of the series with or without the shift."""
        group = int(shifted)
        sums = {level: counts[:, group, first : first + days].sum(axis=1) for level, counts in self.below.items()}
        return max((float(abs(100 * (below / of - level))) for level, (below, of) in sums.items() if of), default=None)


def cutoffs(company: Company) -> Iterator[tuple[pd.Timestamp, datetime]]:
    """Each night's day, and its cutoff as an instant."""
    for cutoff in company.cutoffs:
        yield cutoff, cutoff.tz_localize(ZONE).to_pydatetime()


def series_in_source(company: Company, night: int) -> set[str]:
    """The series that the source holds on the night of a column."""
    known = [day for day in range(night + 1) if company.known_on(day) <= night]
    present = np.asarray((~np.isnan(company.values[:, known])).any(axis=1))
    return {name for name, is_present in zip(company.series_ids, present, strict=True) if is_present}


def _in_files(parquet: str, job: str, moment: datetime) -> pd.DataFrame:
    folder = Path(parquet) / f"job={job}" / f"cutoff={stamp(moment)}"
    files = sorted(folder.glob("part-*.parquet"))
    parts = [pq.ParquetFile(file).read(["series_id", "step"]).to_pandas() for file in files]
    return pd.concat(parts) if parts else pd.DataFrame({"series_id": [], "step": []})
