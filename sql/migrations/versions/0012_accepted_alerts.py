"""Alerts say when somebody accepted what they tell of as usual."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("alert", sa.Column("accepted_at", sa.DateTime(timezone=True)))
