"""What a night's rows say, in few characters, and what there is to say of a run beside its error."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("publication", sa.Column("digest", sa.Text))
    op.add_column("run", sa.Column("note", sa.Text))
