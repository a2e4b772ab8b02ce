"""Which part of a night a run did."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("run", sa.Column("part", sa.Text))
