"""What a night would do to its tables, tried and taken back."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import psycopg
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url
from sql.migrations.migrate import migrate
from sql.migrations.rehearse import rehearse
from sql.output.publish import publish_forecast

NOW = datetime(2024, 1, 31, 23, tzinfo=UTC)


def everything(engine):
    """All relations with their columns, and how many rows each has."""
    with engine.connect() as connection:
        inspector = sa.inspect(connection)
        names = [*inspector.get_table_names(), *inspector.get_view_names()]
        return {
            name: (
                [column["name"] for column in inspector.get_columns(name)],
                connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one(),
            )
            for name in names
        }


def test_all_that_a_night_does_is_tried_on_an_empty_database_and_nothing_stays(engine):
    engine.connect().close()
    attempts = rehearse(engine, ["q0_05"], NOW)
    assert {attempt.problem for attempt in attempts} == {""}
    assert attempts[0].what.startswith("make or migrate the tables in ")
    assert len(attempts) == (3 if engine.dialect.name == "sqlite" else 5)
    assert everything(engine) == {}


def test_nothing_of_a_try_stays_in_tables_that_are_there(output, make_night):
    publish_forecast(output, make_night())
    before = everything(output)
    attempts = rehearse(output, ["q0_1", "q0_333"], NOW)
    assert {attempt.problem for attempt in attempts} == {""}
    assert everything(output) == before
    publish_forecast(output, make_night())


def as_owner(url, *statements):
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement)


def test_who_owns_no_table_is_told_the_columns_and_the_months_that_would_fail(postgres_url, other_user_url, make_night):
    owner, other = connect(resolve_url(postgres_url)), connect(resolve_url(other_user_url))
    migrate(owner)
    publish_forecast(owner, make_night())
    name = sa.make_url(other_user_url).username
    as_owner(postgres_url, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
    # The month of the night and the one ahead are there.
    assert {attempt.problem for attempt in rehearse(other, ["q0_1"], NOW)} == {""}
    *_, column, month, ahead = rehearse(other, ["q0_7"], datetime(2024, 2, 29, tzinfo=UTC))
    assert f"no columns q0_7 for the job's quantile levels, and '{name}' may not add them" in column.problem
    assert month.problem == ""
    words = rf"no partition for 2024-03, and '{name}' may not make one.* As 'postgres', run (CREATE TABLE .*\));"
    [statement] = re.findall(words, ahead.problem)
    as_owner(postgres_url, statement)
    assert rehearse(other, [], datetime(2024, 2, 29, tzinfo=UTC))[-1].problem == ""
    publish_forecast(other, make_night(datetime(2024, 3, 1, tzinfo=UTC)))


def test_rows_that_a_policy_or_a_trigger_refuses_are_found(postgres_url, other_user_url):
    other = connect(resolve_url(other_user_url))
    migrate(connect(resolve_url(postgres_url)))
    name = sa.make_url(other_user_url).username
    as_owner(
        postgres_url,
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        "ALTER TABLE score ENABLE ROW LEVEL SECURITY",
    )
    rows = rehearse(other, [], NOW)[0]
    assert rows.problem.startswith("score: Could not try to write to the database ")
    assert "row-level security policy" in rows.problem


def test_a_table_that_another_session_locks_does_not_hold_the_check_for_long(postgres_url, monkeypatch):
    monkeypatch.setattr("sql.migrations.rehearse._LOCK_SECONDS", 2)
    monkeypatch.setattr("sql.engine.blockers._SECONDS_BEFORE_ASKING", 0.1)
    engine = connect(resolve_url(postgres_url))
    migrate(engine)
    with engine.begin() as holder:
        holder.exec_driver_sql("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
        problem = rehearse(engine, [], NOW)[0].problem
    assert "lock timeout" in problem
    assert "The lock is held by process " in problem


def test_a_database_that_cannot_take_back_a_new_table_is_asked_for_the_rights_to_rows_only(engine, monkeypatch):
    monkeypatch.setattr("sql.migrations.rehearse._UNDOES_TABLES", ())
    engine.connect().close()
    [attempt] = rehearse(engine, ["q0_5"], NOW)
    assert (attempt.problem, attempt.note[:9]) == ("", "not tried")
    assert everything(engine) == {}
    migrate(engine)
    before = everything(engine)
    _, rows, *_ = rehearse(engine, ["q0_5"], NOW)
    assert (rows.what[:5], rows.problem) == ("write", "")
    assert everything(engine) == before
