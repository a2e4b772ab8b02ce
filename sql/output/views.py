"""The views of the output: the newest forecasts, and forecasts beside their actuals.

A view names its columns, because `*` would be frozen when the view is made. So a new quantile level and a migration
write the views anew. Columns that are there keep their place, since PostgreSQL replaces a view only by one that has
more columns at its end; and in place, so that views of others on it stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from sql.output.quantile_columns import is_quantile_column, quantile_column, quantile_level
from sql.output.schema import UTCDateTime
from sql.output.tables import forecast

views = sa.MetaData()
"""The columns of the views, for the documentation; no table is made of it."""

_LOCAL_DATE = "The day of `local_time`."


def _as_in_forecast(*names: str) -> list[sa.Column[object]]:
    return [sa.Column(name, forecast.c[name].type, doc=forecast.c[name].doc) for name in names]


latest_forecast = sa.Table(
    "latest_forecast",
    views,
    *_as_in_forecast(*forecast.c.keys()),
    sa.Column("local_date", sa.Date, doc=_LOCAL_DATE),
    info={
        "purpose": "A view: the rows of `forecast` of the newest published night of each job, with their local day and "
        "every quantile column."
    },
)

forecast_vs_actual = sa.Table(
    "forecast_vs_actual",
    views,
    *_as_in_forecast("job", "series_id", "cutoff", "step", "timestamp"),
    sa.Column("local_date", sa.Date, doc=_LOCAL_DATE),
    *_as_in_forecast("local_time", "mean", "median"),
    sa.Column("actual", sa.Double, doc="What happened, see `actual.value`; NULL where it is not known (yet)."),
    sa.Column("error", sa.Double, doc="`median` − `actual`, in the units of the series: above 0 is too high."),
    sa.Column(
        "inside",
        sa.Boolean,
        doc="Whether the actual lies in the widest central interval of the night, its ends included (1 or 0 on "
        "SQLite); NULL without an actual or such an interval.",
    ),
    *_as_in_forecast("baseline", "model_version", "source"),
    sa.Column("evaluated_on", UTCDateTime, doc="Cutoff of the night that first saw this actual, or its change."),
    info={
        "purpose": "A view: every row of `forecast` beside its actual, with every quantile column. Rows without an "
        "actual stay in it."
    },
)

VIEWS = ("latest_forecast", "forecast_vs_actual")


def write_views(connection: sa.Connection) -> None:
    """Make the views, or write them anew with the columns that `forecast` has now; in the connection's transaction."""
    stored = [column["name"] for column in sa.inspect(connection).get_columns("forecast")]
    quantiles = sorted(filter(is_quantile_column, stored), key=quantile_level)
    of_latest = [name for name in stored if name not in quantiles]
    _write(
        connection,
        "latest_forecast",
        [*of_latest, "local_date", *quantiles],
        {"local_date": "DATE(f.local_time)"},
        "(SELECT job, MAX(cutoff) AS cutoff FROM publication GROUP BY job) p",
    )
    _write(
        connection,
        "forecast_vs_actual",
        [*forecast_vs_actual.c.keys(), *quantiles],
        {
            "job": "p.job",
            "cutoff": "p.cutoff",
            "local_date": "DATE(f.local_time)",
            "actual": "a.value",
            "error": "f.median - a.value",
            "inside": _inside(quantiles),
            "evaluated_on": "a.evaluated_on",
        },
        # Start from the nights: they are few, and each gives the beginning of the key of `forecast`. SQLite would read
        # all forecasts of a job first; it never changes the order of a CROSS JOIN.
        "publication p CROSS" if connection.dialect.name == "sqlite" else "publication p",
        "LEFT JOIN actual a ON a.job = f.job AND a.timestamp = f.timestamp AND a.series_id = f.series_id",
    )


def _inside(quantiles: Sequence[str]) -> str:
    """Whether `a.value` lies in the widest central interval that a row has.

    >>> _inside(["q0_1", "q0_5", "q0_9"])
    'CASE WHEN f.q0_1 IS NOT NULL AND f.q0_9 IS NOT NULL THEN a.value BETWEEN f.q0_1 AND f.q0_9 END'
    """
    lower = [name for name in quantiles if quantile_level(name) < 0.5]
    ends = [(name, quantile_column(1 - quantile_level(name))) for name in lower]
    cases = [
        f"WHEN f.{low} IS NOT NULL AND f.{high} IS NOT NULL THEN a.value BETWEEN f.{low} AND f.{high}"
        for low, high in ends
        if high in quantiles
    ]
    return f"CASE {' '.join(cases)} END" if cases else "CASE WHEN 1 = 0 THEN 1 = 1 END"


def _write(
    connection: sa.Connection,
    view: str,
    columns: Sequence[str],
    expressions: Mapping[str, str],
    nights: str,
    joined: str = "",
) -> None:
    inspector = sa.inspect(connection)
    before = [column["name"] for column in inspector.get_columns(view)] if view in inspector.get_view_names() else []
    names = [*before, *(name for name in columns if name not in before)]
    selected = ", ".join(f"{expressions[name]} AS {name}" if name in expressions else f"f.{name}" for name in names)
    create = "CREATE OR REPLACE VIEW"
    if connection.dialect.name != "postgresql":
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {view}")
        create = "CREATE VIEW"
    rows = f"{nights} JOIN forecast f ON f.job = p.job AND f.cutoff = p.cutoff {joined}"
    connection.exec_driver_sql(f"{create} {view} AS SELECT {selected} FROM {rows}".rstrip())
