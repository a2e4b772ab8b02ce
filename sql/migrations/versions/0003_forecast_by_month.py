"""On PostgreSQL, `forecast` is partitioned by cutoff, so that old nights are dropped and not deleted row by row."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_PRIMARY_KEY = "SELECT conname FROM pg_constraint WHERE conrelid = CAST('forecast' AS regclass) AND contype = 'p'"
_VIEWS = """
    SELECT DISTINCT CAST(CAST(v.oid AS regclass) AS text) AS name, pg_get_viewdef(v.oid) AS definition,
           array_to_string(v.reloptions, ', ') AS options
    FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
    WHERE d.classid = CAST('pg_rewrite' AS regclass) AND d.refobjid = CAST('forecast' AS regclass) AND v.relkind = 'v'
"""
_GRANTS = """
    SELECT a.privilege_type, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
           CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = CAST('forecast' AS regclass)
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return

    def run(statement: str) -> sa.CursorResult[Any]:
        return connection.execution_options(no_parameters=True).exec_driver_sql(statement)

    run("LOCK TABLE forecast IN ACCESS EXCLUSIVE MODE")
    run("SET LOCAL TIME ZONE 'UTC'")
    # No row is copied: the table of now becomes the first partition, for all months up to its newest night's.
    views, grants = run(_VIEWS).all(), run(_GRANTS).all()
    end, suffix = run(
        "SELECT e, to_char(e, 'YYYY_MM') FROM "
        "(SELECT date_trunc('month', MAX(cutoff)) + INTERVAL '1 month' AS e FROM forecast) m"
    ).one()
    old = f"forecast_before_{suffix or 'partitions'}"
    run(f'ALTER TABLE forecast RENAME CONSTRAINT "{run(_PRIMARY_KEY).scalar_one()}" TO {old}_pkey')
    run(f"ALTER TABLE forecast RENAME TO {old}")
    run(f"CREATE TABLE forecast (LIKE {old} INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (cutoff)")
    run("ALTER TABLE forecast ADD CONSTRAINT forecast_pkey PRIMARY KEY (job, cutoff, series_id, step)")
    for privilege, role, option in grants:
        run(f"GRANT {privilege} ON forecast TO {role}{option}")
    for view in views:
        # A view follows a table that is renamed: `latest_forecast`, and other people's, are to follow the name.
        options = f" WITH ({view.options})" if view.options else ""
        run(f"CREATE OR REPLACE VIEW {view.name}{options} AS {view.definition}")
    if end is None:
        run(f"DROP TABLE {old}")
    else:
        run(f"ALTER TABLE forecast ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ('{end.isoformat()}')")
