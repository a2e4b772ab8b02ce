"""Scenarios: forecasts of a published night under other values of what is known ahead."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

NAME = (
    sa.String(255)
    .with_variant(sa.Text(), "sqlite", "postgresql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_0900_bin"), "mysql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_nopad_bin"), "mariadb")
)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "scenario",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("scenario", NAME, primary_key=True),
        sa.Column("series_id", NAME, primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("cutoff", INSTANT, nullable=False),
        sa.Column("timestamp", INSTANT, nullable=False),
        sa.Column("set_values", sa.JSON),
        sa.Column("mean", sa.Double),
        sa.Column("median", sa.Double),
        sa.Column("base_median", sa.Double),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
