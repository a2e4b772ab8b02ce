"""Alerts say their likely reason and who did not take them, losses what they could see; losses of a backtest."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NAME = sa.String(255).with_variant(sa.Text(), "sqlite", "postgresql")


def upgrade() -> None:
    op.add_column("loss", sa.Column("detectable", sa.Double))
    op.add_column("loss", sa.Column("reason", sa.Text))
    op.add_column("loss", sa.Column("signals", sa.JSON(none_as_null=True)))
    op.add_column("alert", sa.Column("reason", sa.Text))
    op.add_column("alert", sa.Column("undelivered", sa.JSON(none_as_null=True)))
    op.create_table(
        "backtest_loss",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("evaluated_on", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("segment", NAME, primary_key=True),
        sa.Column("version", sa.Text),
        sa.Column("learnt", sa.Boolean, nullable=False),
        sa.Column("loss", sa.Double),
        sa.Column("baseline_loss", sa.Double),
        sa.Column("coverage", sa.Double),
        sa.Column("bias", sa.Double),
        sa.Column("n", sa.BigInteger),
    )
