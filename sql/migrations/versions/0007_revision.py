"""Scores say which version forecast, and losses how much forecasts changed since the night before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("score", sa.Column("model_version", sa.Text))
    op.add_column("loss", sa.Column("revision", sa.Double))
    op.add_column("backtest_loss", sa.Column("revision", sa.Double))
