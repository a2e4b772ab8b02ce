"""Anomalies: actuals where forecasts did not expect them, and how many each evaluation found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"

NAME = (
    sa.String(255)
    .with_variant(sa.Text(), "sqlite", "postgresql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_0900_bin"), "mysql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_nopad_bin"), "mariadb")
)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "anomaly",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("timestamp", INSTANT, primary_key=True),
        sa.Column("series_id", NAME, primary_key=True),
        sa.Column("actual", sa.Double, nullable=False),
        sa.Column("expected", sa.Double, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("model_version", sa.Text),
        sa.Column("cutoff", INSTANT, nullable=False),
        sa.Column("evaluated_on", INSTANT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "anomaly_rate",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("evaluated_on", INSTANT, primary_key=True),
        sa.Column("rate", sa.Double, nullable=False),
        sa.Column("actuals", sa.BigInteger, nullable=False),
        sa.Column("anomalies", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tail_counts", sa.JSON, nullable=False),
    )
