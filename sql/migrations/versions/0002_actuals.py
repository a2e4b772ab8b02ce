"""Actuals beside forecasts, and the local time of each forecast."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

NAME = (
    sa.String(255)
    .with_variant(sa.Text(), "sqlite", "postgresql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_0900_bin"), "mysql")
    .with_variant(mysql.VARCHAR(255, collation="utf8mb4_nopad_bin"), "mariadb")
)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "actual",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("timestamp", INSTANT, primary_key=True),
        sa.Column("series_id", NAME, primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("evaluated_on", INSTANT, nullable=False),
        sqlite_with_rowid=False,
    )
    # On PostgreSQL every partition gets the column; no row is written anew.
    op.add_column("forecast", sa.Column("local_time", sa.DateTime()))
