"""Outputs whose user may not create, alter or write the tables."""

import re

import psycopg
import pytest
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url
from sql.errors import NotPermitted, StorageError
from sql.migrations.migrate import check_output, migrate


@pytest.fixture
def other(other_user_url):
    """The name of the other user, and an engine in its name."""
    return sa.make_url(other_user_url).username, connect(resolve_url(other_user_url))


def run(url, *statements):
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement)


def test_a_user_who_may_not_create_tables_is_told_the_grant_that_is_missing(postgres_url, other):
    name, engine = other
    with pytest.raises(NotPermitted, match=f"may not create tables .* GRANT USAGE, CREATE ON SCHEMA public TO {name}"):
        check_output(engine)
    with pytest.raises(NotPermitted, match="permission denied for schema public"):
        migrate(engine)
    run(postgres_url, f"GRANT USAGE, CREATE ON SCHEMA public TO {name}")
    check_output(engine)
    assert sa.inspect(engine).get_table_names() == []
    migrate(engine)
    check_output(engine)


def test_a_user_without_any_schema_is_told_to_get_one(postgres_url, other):
    name, engine = other
    run(postgres_url, "DROP SCHEMA public CASCADE")
    with pytest.raises(NotPermitted, match=f"no schema .* CREATE SCHEMA AUTHORIZATION {name}"):
        check_output(engine)
    run(postgres_url, f"CREATE SCHEMA AUTHORIZATION {name}")
    check_output(engine)
    migrate(engine)


def test_a_user_who_may_write_but_not_alter_the_tables_is_told_so_where_they_must_be_migrated(
    postgres_url, other, monkeypatch
):
    name, engine = other
    migrate(connect(resolve_url(postgres_url)))
    run(
        postgres_url,
        f"GRANT USAGE, CREATE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
    )
    check_output(engine)
    monkeypatch.setattr("sql.migrations.migrate.newest_version", lambda: "9999")
    with pytest.raises(
        NotPermitted, match=rf"may not alter actual, alert, .* belong to 'postgres'.* GRANT postgres TO {name}"
    ):
        check_output(engine)
    run(postgres_url, f"GRANT postgres TO {name}")
    check_output(engine)


@pytest.mark.parametrize("lacking", ["INSERT", "UPDATE", "DELETE", "SELECT"])
def test_a_user_who_lacks_one_right_to_rows_is_told_it_and_the_grant(postgres_url, other, lacking):
    name, engine = other
    migrate(connect(resolve_url(postgres_url)))
    run(
        postgres_url,
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"REVOKE {lacking} ON alert, run FROM {name}",
    )
    words = rf"lacks the right to {lacking} rows of alert, run in .* run (GRANT SELECT, .* TO {name})"
    with pytest.raises(NotPermitted, match=words) as told:
        check_output(engine)
    run(postgres_url, re.search(words, str(told.value))[1])
    check_output(engine)


def test_an_output_that_can_only_be_read_is_told_so(postgres_url, other):
    name, engine = other
    run(
        postgres_url,
        f"GRANT USAGE, CREATE ON SCHEMA public TO {name}",
        f"ALTER ROLE {name} SET default_transaction_read_only = on",
    )
    with pytest.raises(NotPermitted, match=r"can only be read by .*standby"):
        check_output(engine)
    with pytest.raises(NotPermitted, match="read-only transaction"):
        migrate(engine)


def test_tables_of_others_and_of_a_newer_release_are_found_before_the_night(engine, run_sql):
    run_sql("CREATE TABLE model (name TEXT)")
    with pytest.raises(StorageError, match="another application"):
        check_output(engine)
    run_sql("DROP TABLE model")
    migrate(engine)
    check_output(engine)
    run_sql("UPDATE nightcast_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="version '9999', which this release does not know"):
        check_output(engine)
