"""Tables of runs and of the model versions that they make and compare."""

from __future__ import annotations

import sqlalchemy as sa

from sql.output.schema import JSON, Name, UTCDateTime, evaluated_on_column, job_column, metadata

model = sa.Table(
    "model",
    metadata,
    job_column(),
    sa.Column("version", Name, primary_key=True, doc="Name of the version; a version never changes."),
    sa.Column("created_at", UTCDateTime, nullable=False, doc="When the version was stored."),
    sa.Column("trained_until", UTCDateTime, nullable=False, doc="Cutoff of its training: it saw nothing later."),
    sa.Column("stage", sa.Text, nullable=False, doc="`champion` (at most one in a job), `challenger` or `retired`."),
    sa.Column(
        "promoted_at", UTCDateTime, doc="When it became champion; NULL where it never did, or was rolled back since."
    ),
    sa.Column("metrics", sa.JSON, nullable=False, doc="Facts of its training, and what it was built for."),
    sa.Column("uri", sa.Text, nullable=False, doc="Where its files are stored."),
    sa.Column("digest", sa.Text, nullable=False, doc="Digest of its manifest, which holds those of its files."),
    sa.Column(
        "served_from",
        UTCDateTime,
        doc="First cutoff that it forecasts as champion; NULL means every cutoff after `trained_until`.",
    ),
    sa.Column("reason", sa.Text, doc="Why it has its stage."),
    info={"purpose": "One row for each immutable version of a job's model."},
)

promotion = sa.Table(
    "promotion",
    metadata,
    job_column(),
    sa.Column("version", Name, primary_key=True, doc="Version of the challenger."),
    evaluated_on_column(),
    sa.Column("champion_version", sa.Text, nullable=False, doc="Version of the champion."),
    sa.Column(
        "held_out",
        sa.Boolean,
        nullable=False,
        doc="True for the comparison after training, on steps that neither was trained on; false for a night's.",
    ),
    sa.Column("n", sa.BigInteger, nullable=False, doc="Number of points that both forecast."),
    sa.Column("loss", sa.Double, doc="Mean scaled quantile loss of the challenger on these points."),
    sa.Column("champion_loss", sa.Double, doc="The same of the champion."),
    sa.Column("coverage", sa.Double, doc="Share of points inside the challenger's widest interval, 0 to 1."),
    sa.Column("champion_coverage", sa.Double, doc="The same of the champion."),
    sa.Column("log_ratio", sa.Double, doc="ln(`champion_loss` / `loss`): above 0 the challenger is better."),
    sa.Column(
        "segment_sums",
        JSON,
        doc="For each segment: number of points, loss and champion's loss in sum, points inside the interval of each.",
    ),
    sa.Column("nights", sa.Integer, nullable=False, doc="Number of nights compared so far."),
    sa.Column(
        "e_value",
        sa.Double,
        nullable=False,
        doc="Evidence so far that the challenger is better, as an e-value: 1 is none, `promotion.evidence` is enough.",
    ),
    sa.Column("champion_e_value", sa.Double, nullable=False, doc="Evidence so far that the champion is better."),
    sa.Column("effect", sa.Double, doc="Challenger's loss against the champion's so far: −0.1 is 10 % lower."),
    sa.Column("worst_segment", sa.Text, doc="Segment in which the challenger does worst; NULL where none has enough."),
    sa.Column("worst_effect", sa.Double, doc="`effect` in that segment."),
    sa.Column("action", sa.Text, nullable=False, doc="`promote`, `wait` or `retire`."),
    sa.Column("reason", sa.Text, nullable=False, doc="Why, in words."),
    info={"purpose": "One row for each comparison of a challenger with the champion."},
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("run_id", Name, primary_key=True, doc="Name of the run."),
    sa.Column("job", Name, nullable=False, index=True, doc="Name of the job, from its job file."),
    sa.Column("cutoff", UTCDateTime, nullable=False, doc="The night that it ran for."),
    sa.Column("started_at", UTCDateTime, nullable=False, doc="When it began."),
    sa.Column("finished_at", UTCDateTime, doc="When it ended; NULL while it runs, and after a crash."),
    sa.Column("state", sa.Text, nullable=False, doc="See [States of a run](#states-of-a-run)."),
    sa.Column("train_mode", sa.Text, doc="`scratch`, `warm`, `load`, or `none` where no model could forecast."),
    sa.Column("train_reason", sa.Text, doc="Why that mode, and how training ended."),
    sa.Column("model_version", sa.Text, doc="Version that forecast; NULL where only the fallback did."),
    sa.Column("rows_read", sa.BigInteger, doc="Number of rows read from the source."),
    sa.Column("series", sa.BigInteger, doc="Number of series and aggregates forecast."),
    sa.Column("fallback_series", sa.BigInteger, doc="How many of them used the fallback."),
    sa.Column("seconds", JSON, doc="Seconds of each stage of the night."),
    sa.Column("error", sa.Text, doc="Why it failed or crashed."),
    sa.Column("report", sa.Text, doc="Path of the night's HTML report."),
    sa.Column("note", sa.Text, doc="What else happened, such as which nights were missed."),
    sa.Column("kind", sa.Text, doc="`nightly` for a whole night; `train`, `forecast` or `score` for a part."),
    sa.Column(
        "publishing",
        sa.Boolean,
        doc="True from before the run replaces the night until its commit, else NULL. Where it stays true, the next "
        "run of the job makes the Parquet file agree with the table.",
    ),
    info={"purpose": "One row for each run, including failed ones."},
)
