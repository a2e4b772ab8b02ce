"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

NAME = (
    sa.String(255)
    .with_variant(sa.Text(), "sqlite", "postgresql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_0900_bin"), "mysql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_nopad_bin"), "mariadb")
)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "forecast",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("cutoff", INSTANT, primary_key=True),
        sa.Column("series_id", NAME, primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("timestamp", INSTANT, nullable=False),
        sa.Column("mean", sa.Double),
        sa.Column("median", sa.Double),
        sa.Column("baseline", sa.Double),
        sa.Column("model_version", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sqlite_with_rowid=False,
        # Old nights are dropped a month at a time, and not deleted row by row.
        postgresql_partition_by="RANGE (cutoff)",
    )
    op.create_table(
        "publication",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("cutoff", INSTANT, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("model_version", sa.Text),
        sa.Column("first_timestamp", INSTANT, nullable=False),
        sa.Column("last_timestamp", INSTANT, nullable=False),
        sa.Column("published_at", INSTANT, nullable=False),
        sa.Column("digest", sa.Text),
    )
    op.create_table(
        "score",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("cutoff", INSTANT, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("metric", NAME, primary_key=True),
        sa.Column("value", sa.Double),
        sa.Column("baseline_value", sa.Double),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("model_version", sa.Text),
    )
    op.create_table(
        "loss",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("evaluated_on", INSTANT, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("metric", sa.Text),
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
        sa.Column("statistic", sa.Double),
        sa.Column("threshold", sa.Double),
        sa.Column("effect", sa.Double),
        sa.Column("onset", INSTANT),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("detectable_effect", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("other_signals", sa.JSON(none_as_null=True)),
    )
    op.create_table(
        "hindcast_loss",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("evaluated_on", INSTANT, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("model_version", sa.Text),
        sa.Column("in_sample", sa.Boolean, nullable=False),
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
    )
    op.create_table(
        "calibration",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("cutoff", INSTANT, primary_key=True),
        sa.Column("applied_calibration", sa.LargeBinary),
        sa.Column("coverage_evidence", sa.LargeBinary),
    )
    op.create_table(
        "alert",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("signal", NAME, primary_key=True),
        sa.Column("opened_at", INSTANT, primary_key=True),
        sa.Column("onset", INSTANT),
        sa.Column("effect", sa.Double),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("last_sent_at", INSTANT),
        sa.Column("acknowledged_by", sa.Text),
        sa.Column("acknowledged_at", INSTANT),
        sa.Column("closed_at", INSTANT),
        sa.Column("run_id", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("delivery_errors", sa.JSON(none_as_null=True)),
        sa.Column("message_id", sa.Text),
        sa.Column("accepted_at", INSTANT),
    )
    op.create_table(
        "model",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("version", NAME, primary_key=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("trained_until", INSTANT, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("promoted_at", INSTANT),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("served_from", INSTANT),
        sa.Column("reason", sa.Text),
    )
    op.create_table(
        "promotion",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("version", NAME, primary_key=True),
        sa.Column("evaluated_on", INSTANT, primary_key=True),
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
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "run",
        sa.Column("run_id", NAME, primary_key=True),
        sa.Column("job", NAME, nullable=False, index=True),
        sa.Column("cutoff", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
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
        sa.Column("publishing", sa.Boolean),
    )
    op.create_table(
        "job",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
    )
    # Columns by name: `*` would be frozen at this moment on PostgreSQL. Publishing a night with new quantile levels writes
    # the view anew (`sql/output/publish.py`).
    op.execute(
        "CREATE VIEW latest_forecast AS SELECT f.job, f.cutoff, f.series_id, f.step, f.timestamp, f.mean, f.median, "
        "f.baseline, f.model_version, f.source, f.reason, f.run_id, f.created_at FROM forecast f "
        "JOIN (SELECT job, MAX(cutoff) AS cutoff FROM publication GROUP BY job) p "
        "ON p.job = f.job AND p.cutoff = f.cutoff"
    )
