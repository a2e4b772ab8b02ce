"""Losses tell those of days apart that are unlike the ones which the seasonal naive repeats."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for table in ("loss", "backtest_loss"):
        op.add_column(table, sa.Column("unlike_by", sa.Text))
        op.add_column(table, sa.Column("unlike_n", sa.BigInteger))
        op.add_column(table, sa.Column("unlike_loss", sa.Double))
        op.add_column(table, sa.Column("unlike_baseline_loss", sa.Double))
