"""Versions say why they are what they are and from which night on they serve; what is known of challengers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

NAME = sa.String(255).with_variant(sa.Text(), "sqlite", "postgresql")


def upgrade() -> None:
    op.add_column("model", sa.Column("served_from", sa.DateTime(timezone=True)))
    op.add_column("model", sa.Column("reason", sa.Text))
    op.create_table(
        "promotion",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("version", NAME, primary_key=True),
        sa.Column("evaluated_on", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("held_out", sa.Boolean, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("loss", sa.Double),
        sa.Column("champion_loss", sa.Double),
        sa.Column("coverage", sa.Double),
        sa.Column("champion_coverage", sa.Double),
        sa.Column("difference", sa.Double),
        sa.Column("segments", sa.JSON(none_as_null=True)),
        sa.Column("nights", sa.Integer, nullable=False),
        sa.Column("e_value", sa.Double, nullable=False),
        sa.Column("e_against", sa.Double, nullable=False),
        sa.Column("effect", sa.Double),
        sa.Column("worst_segment", sa.Text),
        sa.Column("worst_effect", sa.Double),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
