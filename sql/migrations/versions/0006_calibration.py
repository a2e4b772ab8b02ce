"""What quantiles were calibrated by, and the evidence for it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0007"

NAME = sa.String(255).with_variant(sa.Text(), "sqlite", "postgresql")


def upgrade() -> None:
    op.create_table(
        "calibration",
        sa.Column("job", NAME, primary_key=True),
        sa.Column("cutoff", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("applied", sa.LargeBinary),
        sa.Column("evidence", sa.LargeBinary),
    )
