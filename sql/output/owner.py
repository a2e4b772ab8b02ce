"""The table of jobs: which job file, and which source, the name of each job belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sql.engine.connection import storage_errors
from sql.engine.patience import patiently
from sql.engine.url import identity_of, resolve_url
from sql.output.schema import UTCDateTime, job_column, metadata
from sql.output.upsert import Row, upsert

job = sa.Table(
    "job",
    metadata,
    job_column(),
    sa.Column("file", sa.Text, nullable=False, doc="Path of the job file, as it was on the newest run."),
    sa.Column("machine", sa.Text, nullable=False, doc="Name of the machine that made the newest run."),
    sa.Column("url", sa.Text, nullable=False, doc="`source.url` as the job file writes it."),
    sa.Column(
        "address",
        sa.Text,
        nullable=False,
        doc="The same with variables filled in and an absolute path, without user and password.",
    ),
    sa.Column("relation", sa.Text, nullable=False, doc="Table or query of the source."),
    sa.Column(
        "output", sa.Text, nullable=False, doc="Address of this database on that run: a SQLite file may be moved since."
    ),
    sa.Column("since", UTCDateTime, nullable=False, doc="When this job first used the name."),
    info={"purpose": "One row for each job: whom its name belongs to."},
)


@patiently
def owner_of(engine: sa.Engine, name: str) -> dict[str, Any] | None:
    """Whom the name of a job belongs to; None where nobody has used it, or there are no tables.

    Raises:
        StorageError: where the database does not answer.
    """
    with storage_errors(engine.url, "read from"), engine.connect() as connection:
        inspector = sa.inspect(connection)
        # Before the first night, the database may hold a table of that name that belongs to another application.
        if not inspector.has_table(job.name):
            return None
        if not {*job.c.keys()} <= {column["name"] for column in inspector.get_columns(job.name)}:
            return None
        row = connection.execute(sa.select(job).where(job.c.job == name)).mappings().one_or_none()
        return None if row is None else dict(row)


def address_of(url: str, base: Path) -> str:
    """A URL with variables filled in and an absolute path, without user and password.

    Raises:
        SourceError: where a variable is not set.

    >>> address_of("postgresql://me@shop/sales", Path("/jobs"))
    'postgresql+psycopg://shop/sales'
    """
    full = resolve_url(url, base)
    # `URL.set` keeps a user that is set to None.
    anonymous = sa.URL.create(full.drivername, host=full.host, port=full.port, database=full.database, query=full.query)
    return identity_of(anonymous)


def keep_owner(engine: sa.Engine, row: Row) -> None:
    """Write the row of a job; see `upsert`."""
    upsert(engine, job, [row])
