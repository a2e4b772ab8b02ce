"""What a network has learnt rows and scales for: its series, categories, covariates and holidays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from models.arrays import Float32Array
from models.panel.panel import Panel

# Mean and standard deviation of a column.
Moments = tuple[float, float]


@dataclass
class Vocabulary:
    """Rows of the embeddings, and the scales of the covariates. It only ever grows, so that rows keep their meaning.

    Attributes:
        series: Series id to row of the series embedding; row 0 is for unknown series.
        categories: For each static column, category to row; row 0 is for unknown ones.
        known_future: For each such column, its mean and standard deviation.
        observed_past: The same.
        static_numbers: The same, over the series.
        holidays: Countries and regions whose holidays the network sees.
    """

    series: dict[str, int] = field(default_factory=dict)
    categories: dict[str, dict[str, int]] = field(default_factory=dict)
    known_future: dict[str, Moments] = field(default_factory=dict)
    observed_past: dict[str, Moments] = field(default_factory=dict)
    static_numbers: dict[str, Moments] = field(default_factory=dict)
    holidays: tuple[str, ...] = ()

    @classmethod
    def of(cls, panel: Panel) -> Vocabulary:
        """Rows and scales for everything in a panel."""
        return cls(
            series={str(name): row for row, name in enumerate(panel.series_ids, start=1)},
            categories={
                column: {str(name): row for row, name in enumerate(np.unique(values[values != ""]), start=1)}
                for column, values in panel.static.items()
            },
            known_future=_moments(panel.known_future, panel.known_future_names),
            observed_past=_moments(panel.observed_past, panel.observed_past_names),
            static_numbers=_moments(panel.static_numbers, panel.static_number_names),
            holidays=panel.holidays,
        )

    @property
    def series_rows(self) -> int:
        """Rows that a series embedding needs."""
        return max(self.series.values(), default=0) + 1

    @property
    def category_rows(self) -> list[int]:
        """Rows that the embedding of each static column needs."""
        return [max(rows.values(), default=0) + 1 for rows in self.categories.values()]

    def grown(self, panel: Panel) -> Vocabulary:
        """This vocabulary with rows added for the panel's new series and categories."""
        series = dict(self.series)
        for name in panel.series_ids:
            series.setdefault(str(name), len(series) + 1)
        categories = {column: dict(rows) for column, rows in self.categories.items()}
        for column, rows in categories.items():
            for name in np.unique(panel.static[column]):
                if name:
                    rows.setdefault(str(name), len(rows) + 1)
        return replace(self, series=series, categories=categories)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Vocabulary:
        """From what `to_dict` gave, after a trip through JSON."""
        moments = {
            key: {name: (float(mean), float(deviation)) for name, (mean, deviation) in content.get(key, {}).items()}
            for key in ("known_future", "observed_past", "static_numbers")
        }
        holidays = tuple(content.get("holidays", ()))
        return cls(dict(content["series"]), dict(content["categories"]), holidays=holidays, **moments)


def _moments(values: Float32Array | None, names: tuple[str, ...]) -> dict[str, Moments]:
    """Mean and standard deviation of each column; NaN is left out."""
    if values is None:
        return {}
    # Importing it takes two seconds, and only a night that trains needs it.
    from sklearn.preprocessing import StandardScaler

    seen = ~np.isnan(values).all(axis=0)
    # The scaler leaves NaN out, but refuses a column of nothing else; a constant column gets a scale of 1.
    scaler = StandardScaler().fit(np.where(seen, values, 0.0).astype(np.float64))
    return {name: (float(scaler.mean_[i]), float(scaler.scale_[i])) for i, name in enumerate(names)}
