"""The tables that a job writes, as they are after the newest migration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class UTCDateTime(sa.TypeDecorator[datetime]):
    """An instant: timestamptz on PostgreSQL, on SQLite text such as `2024-01-31 18:00:00.000000`, in UTC.

    The text sorts as time does. Only values with a time zone go in, and come out, in UTC.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"The timestamp {value} has no time zone; give an instant, e.g. with tzinfo=UTC.")
        instant = value.astimezone(UTC)
        return instant if dialect.name == "postgresql" else instant.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Name = sa.String(255).with_variant(sa.Text(), "sqlite", "postgresql")
"""Text that is part of a key: databases other than these two want a length for it."""

metadata = sa.MetaData()

# The order of the key is the order in which nights are written, read and replaced: a night is
# one stretch of the primary key, which on SQLite is the table itself.
forecast = sa.Table(
    "forecast",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("cutoff", UTCDateTime, primary_key=True),
    sa.Column("series_id", Name, primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("timestamp", UTCDateTime, nullable=False),
    sa.Column("mean", sa.Double),
    sa.Column("median", sa.Double),
    sa.Column("baseline", sa.Double),
    sa.Column("model_version", sa.Text),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sqlite_with_rowid=False,
)
"""One column per quantile level comes to it when the first night with that level is published."""

FORECAST_COLUMNS = (
    "job", "series_id", "cutoff", "step", "timestamp", "mean", "median", "baseline",
    "model_version", "source", "reason", "run_id", "created_at",
)  # fmt: skip
"""What every published night holds, beside its quantiles."""

publication = sa.Table(
    "publication",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("cutoff", UTCDateTime, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("model_version", sa.Text),
    sa.Column("first_timestamp", UTCDateTime, nullable=False),
    sa.Column("last_timestamp", UTCDateTime, nullable=False),
    sa.Column("published_at", UTCDateTime, nullable=False),
    sa.Column("digest", sa.Text),
)
"""`digest` is of all that the rows say but for run_id and created_at: equal nights have equal ones."""

score = sa.Table(
    "score",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("cutoff", UTCDateTime, primary_key=True),
    sa.Column("segment", Name, primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("metric", Name, primary_key=True),
    sa.Column("value", sa.Double),
    sa.Column("baseline_value", sa.Double),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("model_version", sa.Text),
)
"""`step` 0 stands for all steps of the horizon together; `model_version` is what forecast the segment that night."""


def _evaluation() -> list[sa.Column[Any]]:
    """The key of an evaluation's losses."""
    return [
        sa.Column("job", Name, primary_key=True),
        sa.Column("evaluated_on", UTCDateTime, primary_key=True),
        sa.Column("segment", Name, primary_key=True),
    ]


def _figures() -> list[sa.Column[Any]]:
    """How far off an evaluation's forecasts were."""
    return [
        sa.Column("loss", sa.Double),
        sa.Column("baseline_loss", sa.Double),
        sa.Column("coverage", sa.Double),
        sa.Column("bias", sa.Double),
        sa.Column("n", sa.BigInteger),
        sa.Column("instability", sa.Double),
        sa.Column("special_definition", sa.Text),
        sa.Column("special_n", sa.BigInteger),
        sa.Column("special_loss", sa.Double),
        sa.Column("special_baseline_loss", sa.Double),
    ]


loss = sa.Table(
    "loss",
    metadata,
    *_evaluation(),
    sa.Column("metric", sa.Text),
    *_figures(),
    sa.Column("statistic", sa.Double),
    sa.Column("threshold", sa.Double),
    sa.Column("effect", sa.Double),
    sa.Column("onset", UTCDateTime),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("detectable_effect", sa.Double),
    sa.Column("reason", sa.Text),
    sa.Column("other_signals", sa.JSON(none_as_null=True)),
)
"""`state` is of the loss; `other_signals` holds the same columns for bias, coverage and instability."""

hindcast_loss = sa.Table(
    "hindcast_loss",
    metadata,
    *_evaluation(),
    sa.Column("model_version", sa.Text),
    sa.Column("in_sample", sa.Boolean, nullable=False),
    *_figures(),
)
"""What nights before the first one would have lost; `in_sample` where the version had learnt from their actuals."""

calibration = sa.Table(
    "calibration",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("cutoff", UTCDateTime, primary_key=True),
    sa.Column("applied_calibration", sa.LargeBinary),
    sa.Column("coverage_evidence", sa.LargeBinary),
)
"""`applied_calibration` is what the night's quantiles were calibrated by; `coverage_evidence` is what was
known at its end of how past forecasts had covered. Both are NumPy's `.npz`, without pickle."""

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("segment", Name, primary_key=True),
    sa.Column("signal", Name, primary_key=True),
    sa.Column("opened_at", UTCDateTime, primary_key=True),
    sa.Column("onset", UTCDateTime),
    sa.Column("effect", sa.Double),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("last_sent_at", UTCDateTime),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("acknowledged_at", UTCDateTime),
    sa.Column("closed_at", UTCDateTime),
    sa.Column("run_id", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("delivery_errors", sa.JSON(none_as_null=True)),
    sa.Column("accepted_at", UTCDateTime),
)
"""`state` is open, acknowledged or closed; one with `accepted_at` was closed by somebody, as what is usual now;
`delivery_errors` says of each target that did not take the newest news why."""

model = sa.Table(
    "model",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("version", Name, primary_key=True),
    sa.Column("created_at", UTCDateTime, nullable=False),
    sa.Column("trained_until", UTCDateTime, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("promoted_at", UTCDateTime),
    sa.Column("metrics", sa.JSON, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("served_from", UTCDateTime),
    sa.Column("reason", sa.Text),
)
"""`stage` is champion (one per job at most), challenger or retired, and `reason` says why; `served_from` is the first
cutoff that a champion forecasts from, and `promoted_at` is empty once it was rolled back."""

promotion = sa.Table(
    "promotion",
    metadata,
    sa.Column("job", Name, primary_key=True),
    sa.Column("version", Name, primary_key=True),
    sa.Column("evaluated_on", UTCDateTime, primary_key=True),
    sa.Column("champion_version", sa.Text, nullable=False),
    sa.Column("held_out", sa.Boolean, nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("loss", sa.Double),
    sa.Column("champion_loss", sa.Double),
    sa.Column("coverage", sa.Double),
    sa.Column("champion_coverage", sa.Double),
    sa.Column("log_ratio", sa.Double),
    sa.Column("segment_sums", sa.JSON(none_as_null=True)),
    sa.Column("nights", sa.Integer, nullable=False),
    sa.Column("e_value", sa.Double, nullable=False),
    sa.Column("champion_e_value", sa.Double, nullable=False),
    sa.Column("effect", sa.Double),
    sa.Column("worst_segment", sa.Text),
    sa.Column("worst_effect", sa.Double),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
"""A challenger beside the champion: what both lost on one evaluation's points (`held_out`: on those that neither had
learnt from when it was trained), and what is known of it by then; `verdict` is promote, wait or retire."""

run = sa.Table(
    "run",
    metadata,
    sa.Column("run_id", Name, primary_key=True),
    sa.Column("job", Name, nullable=False, index=True),
    sa.Column("cutoff", UTCDateTime, nullable=False),
    sa.Column("started_at", UTCDateTime, nullable=False),
    sa.Column("finished_at", UTCDateTime),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("train_mode", sa.Text),
    sa.Column("train_reason", sa.Text),
    sa.Column("model_version", sa.Text),
    sa.Column("rows_read", sa.BigInteger),
    sa.Column("series", sa.BigInteger),
    sa.Column("fallback_series", sa.BigInteger),
    sa.Column("seconds", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.Text),
    sa.Column("report", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("kind", sa.Text),
)
"""`kind` is nightly, train, forecast or score, null for runs of earlier releases. `state` is running, completed,
unchanged (published before, and the same again), skipped (done before), failed or crashed (found dead by a later run);
`seconds` holds the seconds of each stage, `note` what else there is to say."""


def quantile_column(level: float) -> str:
    """The column of a quantile level.

    >>> quantile_column(0.05), quantile_column(0.5), quantile_column(0.975)
    ('q0_05', 'q0_5', 'q0_975')
    """
    digits = f"{level:.10f}".rstrip("0")
    if not 0.0 < level < 1.0 or digits == "0." or digits.startswith("1"):
        raise ValueError(f"A quantile level lies between 0 and 1, but {level} does not; write 0.9, not 90 or P90.")
    return "q" + digits.replace(".", "_")


def quantile_level(column: str) -> float:
    """The level of a quantile column.

    >>> quantile_level("q0_05")
    0.05
    """
    return float(column[1:].replace("_", "."))


def is_quantile_column(name: str) -> bool:
    """Whether a column holds a quantile: `q0_05` does, `quality` does not.

    >>> is_quantile_column("q0_05"), is_quantile_column("quality")
    (True, False)
    """
    return name.startswith("q0_") and name[3:].isdigit()
