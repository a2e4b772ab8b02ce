"""What the user of a database may do, found out without doing it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sql.engine.url import describe
from sql.errors import NotPermitted


def check_rights(connection: sa.Connection, tables: Sequence[str]) -> None:
    """Check that the user may create tables, and alter and write to those that exist.

    Databases other than PostgreSQL and SQLite do not say, so nothing is checked there.

    Args:
        connection: A connection to the database.
        tables: Names of tables, which may not exist yet.

    Raises:
        NotPermitted: where a right is missing; names the statement that grants it.
    """
    if connection.dialect.name == "postgresql":
        _check_postgresql(connection, tables)
    if connection.dialect.name == "sqlite":
        file = str(connection.engine.url.database)
        if os.path.exists(file) and not os.access(file, os.W_OK):
            raise NotPermitted(f"The SQLite file {file} cannot be written. Make it writable, or name another one.")


def check_rights_to_rows(connection: sa.Connection, tables: Sequence[str]) -> None:
    """Check that the user may read, write, change and delete rows of tables that need no migration.

    Args:
        connection: A connection to the database.
        tables: Names of tables.

    Raises:
        NotPermitted: where a right is missing; names the statement that grants it.
    """
    if connection.dialect.name != "postgresql":
        check_rights(connection, tables)
        return
    facts, where = connection.execute(sa.text(_FACTS)).one(), describe(connection.engine.url)
    _refuse_read_only(facts, where)
    missing = connection.execute(sa.text(_MISSING), {"tables": list(tables)}).all()
    if missing:
        names, kinds = sorted({row.name for row in missing}), sorted({row.kind for row in missing})
        raise NotPermitted(
            f"{facts.me!r} lacks the right to {', '.join(kinds)} rows of {', '.join(names[:5])} in {where}. As their "
            f"owner, run GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {facts.schema} TO "
            f"{_name(connection, facts.me)}."
        )


_FACTS = """
    SELECT current_user AS me, current_database() AS database, current_schema() AS schema,
           current_setting('transaction_read_only') = 'on' AS is_read_only,
           has_schema_privilege(current_schema(), 'CREATE') AS may_create
"""
_OF_OTHERS = """
    SELECT c.relname AS name, pg_get_userbyid(c.relowner) AS owner
    FROM pg_class c
    WHERE c.relname = ANY(:tables) AND c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid)
      AND NOT pg_has_role(c.relowner, 'USAGE')
    ORDER BY c.relname
"""


_MISSING = """
    SELECT t.name, r.kind
    FROM unnest(CAST(:tables AS text[])) AS t(name), unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r(kind)
    WHERE to_regclass(t.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(t.name), r.kind)
    ORDER BY t.name
"""


def _check_postgresql(connection: sa.Connection, tables: Sequence[str]) -> None:
    facts = connection.execute(sa.text(_FACTS)).one()
    where, me = describe(connection.engine.url), _name(connection, facts.me)
    _refuse_read_only(facts, where)
    if facts.schema is None:
        raise NotPermitted(
            f"{facts.me!r} has no schema in {where} that is on its search_path. As the owner of the database, run "
            f"CREATE SCHEMA AUTHORIZATION {me}."
        )
    if not facts.may_create:
        raise NotPermitted(
            f"{facts.me!r} may not create tables in the schema {facts.schema!r} of {where}. As the schema's owner, run "
            f"GRANT USAGE, CREATE ON SCHEMA {_name(connection, facts.schema)} TO {me}."
        )
    others = connection.execute(sa.text(_OF_OTHERS), {"tables": list(tables)}).all()
    if others:
        owner = others[0].owner
        raise NotPermitted(
            f"{facts.me!r} may not alter {', '.join(row.name for row in others[:5])} in {where}, which belong to "
            f"{owner!r}. A night adds columns and partitions. Name {owner!r} as the user in the URL, or run GRANT "
            f"{_name(connection, owner)} TO {me}."
        )


def _refuse_read_only(facts: sa.Row[Any], where: str) -> None:
    if facts.is_read_only:
        raise NotPermitted(
            f"{where} can only be read by {facts.me!r}: it is a standby, or the user's transactions are read-only. "
            "Name the primary server in the URL, or set default_transaction_read_only to off for the user."
        )


def _name(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
