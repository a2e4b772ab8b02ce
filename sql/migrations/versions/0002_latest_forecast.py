"""The newest published night of each job, as a view."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # Columns by name: `*` would be frozen at this moment on PostgreSQL. Publishing a night with
    # new quantile levels writes the view anew (`sql.latest_view`).
    op.execute(
        "CREATE VIEW latest_forecast AS SELECT f.job, f.cutoff, f.series_id, f.step, f.timestamp, f.mean, f.median, "
        "f.baseline, f.model_version, f.source, f.reason, f.run_id, f.created_at FROM forecast f "
        "JOIN (SELECT job, MAX(cutoff) AS cutoff FROM publication GROUP BY job) p "
        "ON p.job = f.job AND p.cutoff = f.cutoff"
    )
