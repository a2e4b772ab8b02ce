"""Tables of what nights publish: forecasts, and how their quantiles were calibrated.

`doc` is the meaning of a column, and `info["purpose"]` that of a table: `make docs` writes both into docs/tables.md.
"""

from __future__ import annotations

import sqlalchemy as sa

from sql.output.schema import JSON, LocalDateTime, Name, UTCDateTime, cutoff_column, job_column, metadata

# The order of the key is the order in which nights are written, read and replaced: a night is
# one stretch of the primary key, which on SQLite is the table itself.
forecast = sa.Table(
    "forecast",
    metadata,
    job_column(),
    cutoff_column(),
    sa.Column("series_id", Name, primary_key=True, doc="The series or aggregate, see [Series ids](#series-ids)."),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False, doc="Steps after the cutoff, from 1."),
    sa.Column("timestamp", UTCDateTime, nullable=False, doc="The time that the row forecasts."),
    sa.Column("mean", sa.Double, doc="Expected value, in the units of the series."),
    sa.Column("median", sa.Double, doc="The value that the actual exceeds half of the time, in the same units."),
    sa.Column("baseline", sa.Double, doc="Seasonal naive forecast, in the same units; NULL where there is none."),
    sa.Column("model_version", sa.Text, doc="Version that forecast the series; NULL for the fallback."),
    sa.Column("source", sa.Text, nullable=False, doc="`model` or `fallback`."),
    sa.Column(
        "reason",
        sa.Text,
        doc="Why the fallback was used, or how many parts of an aggregate used it; NULL where neither did.",
    ),
    sa.Column("run_id", sa.Text, nullable=False, doc="Run that published the row, see `run`."),
    sa.Column("created_at", UTCDateTime, nullable=False, doc="When the row was made."),
    sa.Column(
        "local_time",
        LocalDateTime,
        doc="`timestamp` on the clock of the job's `time_zone`, without a zone; NULL in nights of a release that did "
        "not store it.",
    ),
    sqlite_with_rowid=False,
    info={
        "purpose": "One row for each step of each series and aggregate, as one night forecast it. The first night with "
        "a new quantile level adds a column for it (`q0_05`, in the units of the series)."
    },
)

FORECAST_COLUMNS = (
    "job", "series_id", "cutoff", "step", "timestamp", "mean", "median", "baseline",
    "model_version", "source", "reason", "run_id", "created_at", "local_time",
)  # fmt: skip
"""The columns of every published night, besides its quantiles."""

# The order of the key is that in which actuals arrive: each night adds one stretch, and retention deletes one.
actual = sa.Table(
    "actual",
    metadata,
    job_column(),
    sa.Column("timestamp", UTCDateTime, primary_key=True, doc="The time of the value, as `forecast.timestamp`."),
    sa.Column("series_id", Name, primary_key=True, doc="The series or aggregate, see [Series ids](#series-ids)."),
    sa.Column(
        "value",
        sa.Double,
        nullable=False,
        doc="The actual, as it was compared with the forecasts: in the units of the series, to seven digits.",
    ),
    sa.Column(
        "evaluated_on", UTCDateTime, nullable=False, doc="Cutoff of the night that first saw this value, or its change."
    ),
    sqlite_with_rowid=False,
    info={"purpose": "One row for each actual of a published forecast, as the newest evaluation knows it."},
)

scenario = sa.Table(
    "scenario",
    metadata,
    job_column(),
    sa.Column("scenario", Name, primary_key=True, doc="Name of the scenario, from `nightcast what-if --name`."),
    sa.Column("series_id", Name, primary_key=True, doc="The series, see [Series ids](#series-ids)."),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False, doc="Steps after the cutoff, from 1."),
    sa.Column(
        "cutoff", UTCDateTime, nullable=False, doc="The published night that was forecast again: its `forecast.cutoff`."
    ),
    sa.Column("timestamp", UTCDateTime, nullable=False, doc="The time that the row forecasts."),
    sa.Column(
        "set_values",
        JSON,
        doc="What was set at this step: a value for each column; NULL at a step where nothing was set.",
    ),
    sa.Column("mean", sa.Double, doc="Expected value under the scenario, in the units of the series."),
    sa.Column("median", sa.Double, doc="The value that the actual exceeds half of the time then, in the same units."),
    sa.Column(
        "base_median",
        sa.Double,
        doc="The median without the scenario: `forecast.median`, or, if the source or the job has changed since that "
        "night, the forecast from what they are now.",
    ),
    sa.Column("model_version", sa.Text, nullable=False, doc="Version that forecast the night, and the scenario."),
    sa.Column("created_at", UTCDateTime, nullable=False, doc="When the scenario was written."),
    sa.Column("created_by", sa.Text, nullable=False, doc="Who asked for it."),
    sqlite_with_rowid=False,
    info={
        "purpose": "One row for each step of each series of a scenario: the forecast of a published night under other "
        "values of what is known ahead. No night reads it. The first scenario with a new quantile level adds a column "
        "for it, as in `forecast`."
    },
)

publication = sa.Table(
    "publication",
    metadata,
    job_column(),
    cutoff_column(),
    sa.Column("run_id", sa.Text, nullable=False, doc="Run that published the night."),
    sa.Column("rows", sa.BigInteger, nullable=False, doc="Number of rows of `forecast`."),
    sa.Column("model_version", sa.Text, doc="Version that forecast; NULL where only the fallback did."),
    sa.Column("first_timestamp", UTCDateTime, nullable=False, doc="First time that the night forecasts."),
    sa.Column("last_timestamp", UTCDateTime, nullable=False, doc="Last time that the night forecasts."),
    sa.Column("published_at", UTCDateTime, nullable=False, doc="`created_at` of the night's newest row."),
    sa.Column(
        "digest",
        sa.Text,
        doc="SHA-256 of the night's rows without `run_id` and `created_at`: equal forecasts have equal digests.",
    ),
    info={"purpose": "One row for each published night."},
)

calibration = sa.Table(
    "calibration",
    metadata,
    job_column(),
    cutoff_column(),
    sa.Column(
        "applied_calibration",
        sa.LargeBinary,
        doc="What the night changed its quantiles by, as NumPy `.npz`; NULL where it changed none.",
    ),
    sa.Column(
        "coverage_evidence",
        sa.LargeBinary,
        doc="How past quantiles had covered by the end of the night, as NumPy `.npz`; later nights calibrate by it.",
    ),
    info={"purpose": "One row for each night; the job itself reads it to calibrate its quantiles."},
)
