"""A night whose user lacks a right on its database ends at once, and `check` has said so before."""

from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa
import yaml

from flows.deployments.dispatch import run_night
from flows.night.check import check_job
from sql.engine.connection import connect
from sql.engine.url import resolve_url
from sql.errors import NotPermitted
from sql.rights.script import script


@pytest.fixture
def pauses(monkeypatch):
    """The pauses that the steps of a night made before they tried again; no pause takes time."""
    made: list[float] = []
    monkeypatch.setattr("tasks.step.time.sleep", made.append)
    return made


@pytest.fixture
def roles(postgres_url):
    """Names of the roles of the three scripts, which own nothing and are dropped after the test."""
    names = {role: f"{role}-{uuid4().hex}" for role in ("source", "writer", "reader")}
    yield names
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        known = {name for (name,) in admin.execute("SELECT rolname FROM pg_roles").fetchall()}
        for name in known & {*names.values()}:
            admin.execute(f'DROP OWNED BY "{name}" CASCADE')
            admin.execute(f'DROP ROLE "{name}"')


def url_of(postgres_url, role):
    return sa.make_url(postgres_url).set(username=role).render_as_string()


def refused(url, statement):
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.usefixtures("pauses")
def test_nights_run_with_the_rights_of_the_scripts_and_no_more(make_job, postgres_url, roles):
    job = make_job(url=postgres_url, forecast={"min_history": 10_000})
    database = sa.make_url(postgres_url).database
    scripts = [
        script("source_reader", role=roles["source"], database=database, table="history"),
        script("output_writer", role=roles["writer"], database=database, schema="Night cast"),
        script("forecast_reader", role=roles["reader"], database=database, schema="Night cast", writer=roles["writer"]),
    ]
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        # Twice, because an administrator may run them again.
        for statement in scripts * 2:
            admin.execute(statement)
    source, writer, reader = (url_of(postgres_url, roles[name]) for name in ("source", "writer", "reader"))
    content = yaml.safe_load(job.read_text())
    content["source"]["url"], content["output"]["url"] = source, writer
    job.write_text(yaml.safe_dump(content))

    assert check_job(job).problems == []
    assert sa.inspect(connect(resolve_url(writer))).get_table_names() == []
    # The last night of a month, the first of the next one, and one of the month after that, which nobody made ahead.
    for cutoff in ("2023-11-30", "2023-12-01", "2024-02-01"):
        assert run_night(job, cutoff=cutoff).state == "completed"
    assert check_job(job).problems == []

    with psycopg.connect(reader) as connection:
        newest = connection.execute("SELECT DISTINCT cutoff::date::text FROM latest_forecast").fetchall()
        assert newest == [("2024-02-01",)]
        # The views read tables in the name of their owner.
        known = connection.execute("SELECT DISTINCT actual IS NOT NULL FROM forecast_vs_actual ORDER BY 1").fetchall()
        assert known == [(False,), (True,)]
        # A month that was made after the grant.
        assert connection.execute("SELECT count(*) > 0 FROM forecast_2024_02").fetchone() == (True,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM forecast")
    for statement in ("DELETE FROM forecast", "INSERT INTO run SELECT * FROM run", "CREATE TABLE mine (a int)"):
        refused(reader, statement)
    for statement in ("DELETE FROM history", 'SELECT * FROM "Night cast".forecast', "CREATE TABLE mine (a int)"):
        refused(source, statement)
    for statement in ("SELECT * FROM public.history", "CREATE TABLE public.mine (a int)", "CREATE ROLE mine"):
        refused(writer, statement)


def test_a_night_of_a_new_month_whose_user_may_not_make_it_ends_before_the_training_with_the_statement(
    make_job, postgres_url, other_user_url, pauses
):
    parts = {"forecast": {"min_history": 10_000}}
    run_night(make_job(url=postgres_url, **parts), cutoff="2024-01-31")
    name = sa.make_url(other_user_url).username
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
    job = make_job(output={"url": other_user_url}, **parts)
    # The month of the owner's night, and the one that it made ahead.
    for cutoff in ("2024-01-30", "2024-02-10"):
        assert run_night(job, cutoff=cutoff).state == "completed"
    # This month and the next one.
    for problem in (problems := check_job(job).problems):
        assert f"{name!r} may not make one, because the table belongs to 'postgres'" in problem
    assert len(problems) == 2
    words = "no partition for 2023-12.* run CREATE TABLE public.forecast_2023_12 PARTITION"
    with pytest.raises(NotPermitted, match=words):
        run_night(job, cutoff="2023-12-05")
    content = yaml.safe_load(job.read_text())
    content["forecast"]["quantile_levels"] = [0.2, 0.5]
    job.write_text(yaml.safe_dump(content))
    with pytest.raises(NotPermitted, match=r"no columns q0_2 for .* Run one night of the job as 'postgres'"):
        run_night(job, cutoff="2024-02-11")
    assert pauses == []


def test_an_output_that_may_not_be_written_is_found_by_check_and_ends_the_night_at_once(
    make_job, other_user_url, pauses
):
    job = make_job(output={"url": other_user_url})
    [problem] = check_job(job).problems
    assert problem.startswith("output: ")
    assert "GRANT USAGE, CREATE ON SCHEMA public" in problem
    with pytest.raises(NotPermitted, match="may not create tables"):
        run_night(job, cutoff="2024-02-03")
    assert pauses == []


def test_a_source_that_may_not_be_read_is_found_by_check_and_ends_the_night_at_once(
    make_job, postgres_url, other_user_url, pauses
):
    job = make_job(url=postgres_url)
    content = yaml.safe_load(job.read_text())
    content["source"]["url"] = other_user_url
    job.write_text(yaml.safe_dump(content))
    with pytest.raises(NotPermitted, match="permission denied for table history"):
        run_night(job, cutoff="2024-02-03")
    assert pauses == []
    assert any("permission denied for table history" in problem for problem in check_job(job).problems)
