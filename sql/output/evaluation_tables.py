"""Tables of evaluations: scores, losses and anomalies of actuals, and the alerts that follow from them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sql.output.schema import (
    JSON,
    Name,
    UTCDateTime,
    cutoff_column,
    evaluated_on_column,
    job_column,
    metadata,
    segment_column,
)

score = sa.Table(
    "score",
    metadata,
    job_column(),
    cutoff_column(),
    segment_column(),
    sa.Column(
        "step",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        doc="Step of the horizon, from 1; 0 is all steps together.",
    ),
    sa.Column("metric", Name, primary_key=True, doc="Name of the metric, see [Metrics](#metrics)."),
    sa.Column("value", sa.Double, doc="The metric of the published forecast, in the unit of the metric."),
    sa.Column("baseline_value", sa.Double, doc="The same metric of the seasonal naive of the same night."),
    sa.Column("n", sa.BigInteger, nullable=False, doc="Number of points: pairs of forecast and actual."),
    sa.Column(
        "model_version",
        sa.Text,
        doc="Version that forecast the segment; `fallback` where the fallback forecast all of it; NULL where several "
        "versions did, and for `instability`.",
    ),
    info={"purpose": "One row for each metric of one night's forecast, by segment and step, once actuals are known."},
)


def _figures() -> list[sa.Column[Any]]:
    """How far an evaluation's forecasts were from the actuals."""
    return [
        sa.Column("loss", sa.Double, doc="Mean scaled quantile loss of the points; a point counts 10 at most."),
        sa.Column(
            "baseline_loss",
            sa.Double,
            doc="The same of the seasonal naive, a single value, where it has one.",
        ),
        sa.Column("coverage", sa.Double, doc="Share of points inside the widest central interval, 0 to 1."),
        sa.Column("bias", sa.Double, doc="Mean of (median − actual), in seasonal errors of each series."),
        sa.Column("n", sa.BigInteger, doc="Number of points whose actuals were new."),
        sa.Column(
            "instability",
            sa.Double,
            doc="Mean change of the medians since the night before, for the same times, in seasonal errors.",
        ),
        sa.Column(
            "special_definition",
            sa.Text,
            doc="What makes a day special, as JSON: covariates and public holidays; NULL where nothing does.",
        ),
        sa.Column("special_n", sa.BigInteger, doc="Number of the `n` points that lie on special days."),
        sa.Column("special_loss", sa.Double, doc="`loss` of the points on special days."),
        sa.Column("special_baseline_loss", sa.Double, doc="`baseline_loss` of the points on special days."),
    ]


loss = sa.Table(
    "loss",
    metadata,
    job_column(),
    evaluated_on_column(),
    segment_column(),
    sa.Column("metric", sa.Text, doc="What `loss` is: scaled quantile loss."),
    *_figures(),
    sa.Column(
        "statistic", sa.Double, doc="How far the loss lies above the usual, as a multiple of what chance explains."
    ),
    sa.Column("threshold", sa.Double, doc="The loss is degraded where `statistic` is above it; always 1."),
    sa.Column("effect", sa.Double, doc="Change of the loss from the usual, as a share: 0.1 is 10 % worse."),
    sa.Column("onset", UTCDateTime, doc="Evaluation on which the degradation most likely began."),
    sa.Column("state", sa.Text, nullable=False, doc="`ok`, `degraded` or `not evaluated`."),
    sa.Column("run_id", sa.Text, doc="Run that last changed the row."),
    sa.Column(
        "detectable_effect", sa.Double, doc="Smallest lasting rise of the loss that two weeks would show, as a share."
    ),
    sa.Column("reason", sa.Text, doc="Why the loss was not evaluated."),
    sa.Column(
        "other_signals",
        JSON,
        doc="`bias`, `coverage` and `instability`, each with `state`, `statistic`, `effect`, `onset`, "
        "`detectable_effect` and `reason`.",
    ),
    info={
        "purpose": "One row for each segment of an evaluation: the loss on the actuals that were new to it, and "
        "whether it is worse than usual."
    },
)

hindcast_loss = sa.Table(
    "hindcast_loss",
    metadata,
    job_column(),
    evaluated_on_column(),
    segment_column(),
    sa.Column("model_version", sa.Text, doc="Version that made the hindcast."),
    sa.Column("in_sample", sa.Boolean, nullable=False, doc="Whether the version was trained on these actuals."),
    *_figures(),
    info={
        "purpose": "One row for each segment of an evaluation before the job's first night: what the first model would "
        "have lost. The rule compares live nights with it."
    },
)

# The order of the key is that of `actual`: each night adds one stretch, and retention deletes one.
anomaly = sa.Table(
    "anomaly",
    metadata,
    job_column(),
    sa.Column("timestamp", UTCDateTime, primary_key=True, doc="The time of the actual, as `actual.timestamp`."),
    sa.Column("series_id", Name, primary_key=True, doc="The series or aggregate, see [Series ids](#series-ids)."),
    sa.Column("actual", sa.Double, nullable=False, doc="What happened, as `actual.value`."),
    sa.Column(
        "expected", sa.Double, nullable=False, doc="The median of the forecast that judges it, in the same units."
    ),
    sa.Column(
        "probability",
        sa.Double,
        nullable=False,
        doc="Probability of an actual as far out, to either side, as the forecast and past actuals have it; at most "
        "the job's `anomalies.rate`.",
    ),
    sa.Column("direction", sa.Text, nullable=False, doc="`above` or `below` what was expected."),
    sa.Column(
        "since",
        UTCDateTime,
        nullable=False,
        doc="`timestamp` of the first of the unbroken run of anomalies of the series that this one belongs to.",
    ),
    sa.Column("model_version", sa.Text, doc="Version that forecast it; NULL for the fallback."),
    sa.Column("cutoff", UTCDateTime, nullable=False, doc="The night whose forecast judges it: the newest before it."),
    sa.Column(
        "evaluated_on", UTCDateTime, nullable=False, doc="Cutoff of the night that first saw this value, or its change."
    ),
    sqlite_with_rowid=False,
    info={"purpose": "One row for each actual that lies where its forecast did not expect it."},
)

anomaly_rate = sa.Table(
    "anomaly_rate",
    metadata,
    job_column(),
    evaluated_on_column(),
    sa.Column("rate", sa.Double, nullable=False, doc="The job's `anomalies.rate`."),
    sa.Column("actuals", sa.BigInteger, nullable=False, doc="Number of actuals that were judged for the first time."),
    sa.Column("anomalies", sa.BigInteger, nullable=False, doc="Number of anomalies among them."),
    sa.Column("state", sa.Text, nullable=False, doc="`ok`, or `many` where chance does not explain so many anomalies."),
    sa.Column(
        "tail_counts",
        sa.JSON,
        nullable=False,
        doc="How many of the actuals lay how far out: for each fiftieth of a power of ten of the probability by the "
        "forecast alone, from 0 for 1, their number. Later nights rank actuals by it.",
    ),
    info={
        "purpose": "One row for each evaluation that saw new actuals: how many it judged, and how many are anomalies."
    },
)

alert = sa.Table(
    "alert",
    metadata,
    job_column(),
    segment_column("Group of series that got worse, see [Segments](#segments)."),
    sa.Column("signal", Name, primary_key=True, doc="`loss`, `bias`, `coverage`, `instability`, `input` or `anomaly`."),
    sa.Column("opened_at", UTCDateTime, primary_key=True, doc="Cutoff of the night that opened the alert."),
    sa.Column("onset", UTCDateTime, doc="Evaluation on which the degradation most likely began."),
    sa.Column(
        "effect",
        sa.Double,
        doc="Size: a share of the loss or instability, seasonal errors for `bias`, a fall of the share for `coverage`, "
        "steps without a value for `input`, the share of actuals that are anomalies for `anomaly`.",
    ),
    sa.Column("state", sa.Text, nullable=False, doc="`open`, `acknowledged` or `closed`."),
    sa.Column("message", sa.Text, doc="The alert in words, as it is sent."),
    sa.Column("last_sent_at", UTCDateTime, doc="When a target last took the alert; NULL where none did."),
    sa.Column("acknowledged_by", sa.Text, doc="Who acknowledged or accepted it."),
    sa.Column("acknowledged_at", UTCDateTime, doc="When that was."),
    sa.Column("closed_at", UTCDateTime, doc="Cutoff of the night that closed the alert; NULL while it is open."),
    sa.Column("run_id", sa.Text, doc="Run that last changed the row."),
    sa.Column("reason", sa.Text, doc="Likely reason, where the figures show one."),
    sa.Column(
        "delivery_errors", JSON, doc="For each target that did not take the newest message, why; NULL where all did."
    ),
    sa.Column("message_id", sa.Text, doc="Id of the message about it that a target took last; NULL where none did."),
    sa.Column("accepted_at", UTCDateTime, doc="When somebody accepted the new level as usual, which closes the alert."),
    info={"purpose": "One row for each degradation, from the night that opens it to the night that closes it."},
)
