"""Months of `forecast` on PostgreSQL: made for a night, dropped with the last night in them."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from sql.engine.connection import connect, resolve_url, transaction
from sql.errors import StorageError
from sql.migrations.migrate import migrate
from sql.output import partitions as module
from sql.output.history import forecast_of, publications
from sql.output.partitions import add_month, partitions
from sql.output.publish import publish_forecast
from sql.output.retention import forget_nights

JANUARY, FEBRUARY, MARCH, APRIL = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))


@pytest.fixture
def engine(postgres_url):
    return connect(resolve_url(postgres_url))


def months(engine):
    with engine.connect() as connection:
        return {partition.name: (partition.begin, partition.end) for partition in partitions(connection)}


def test_a_night_lies_in_the_partition_of_the_month_of_its_cutoff_in_utc(output, make_night):
    publish_forecast(output, make_night(MARCH - timedelta(microseconds=1)))
    publish_forecast(output, make_night(MARCH))
    publish_forecast(output, make_night(MARCH + timedelta(days=30)))

    assert months(output) == {
        "forecast_2024_02": (FEBRUARY, MARCH),
        "forecast_2024_03": (MARCH, APRIL),
        "forecast_2024_04": (APRIL, datetime(2024, 5, 1, tzinfo=UTC)),
    }
    with output.connect() as connection:
        rows = connection.execute(sa.text("SELECT count(*) FROM forecast_2024_03")).scalar_one()
    assert rows == 12


def test_a_month_is_made_while_somebody_reads_and_somebody_writes(output, make_night):
    publish_forecast(output, make_night(JANUARY))
    with output.connect() as reader, transaction(output) as writer:
        assert reader.execute(sa.text("SELECT count(*) FROM forecast")).scalar_one() == 6
        writer.execute(sa.text("UPDATE forecast SET reason = 'seen'"))
        add_month(output, FEBRUARY)
    assert list(months(output)) == ["forecast_2024_01", "forecast_2024_02", "forecast_2024_03"]


def test_a_night_makes_the_month_ahead_and_one_of_the_past_makes_its_own_only(output, make_night):
    for cutoff in (MARCH, JANUARY, MARCH + timedelta(days=1)):
        publish_forecast(output, make_night(cutoff))
        assert set(months(output)) - {"forecast_2024_01"} == {"forecast_2024_03", "forecast_2024_04"}
    assert "forecast_2024_01" in months(output)


def test_a_month_ahead_is_not_put_into_the_way_of_partitions_of_other_lengths(output, make_night, run_sql):
    year = "CREATE TABLE year PARTITION OF forecast FOR VALUES FROM ('{}-01-01 00:00Z') TO ('{}-01-01 00:00Z')"
    run_sql(year.format(2024, 2025))
    publish_forecast(output, make_night(datetime(2024, 12, 31, tzinfo=UTC)))
    run_sql(year.replace("year", "next_year").format(2025, 2026))
    assert set(months(output)) == {"year", "next_year"}


def test_nights_of_a_new_month_published_at_once_are_both_there(output, make_night):
    ready = threading.Barrier(4)

    def publish(job):
        night = make_night(FEBRUARY, job=job)
        ready.wait()
        publish_forecast(output, night)

    threads = [threading.Thread(target=publish, args=(f"job-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [forecast_of(output, f"job-{i}", FEBRUARY).num_rows for i in range(4)] == [6] * 4
    assert list(months(output)) == ["forecast_2024_02", "forecast_2024_03"]


def test_partitions_that_an_administrator_made_are_used(output, make_night, run_sql):
    run_sql(
        "CREATE TABLE year PARTITION OF forecast FOR VALUES FROM ('2024-01-01 00:00Z') TO ('2025-01-01 00:00Z')",
        "CREATE TABLE others PARTITION OF forecast DEFAULT",
    )
    publish_forecast(output, make_night(MARCH))
    publish_forecast(output, make_night(datetime(2030, 1, 1, tzinfo=UTC)))
    assert set(months(output)) == {"year", "others"}


def test_old_months_are_dropped_and_the_month_of_the_limit_stays(output, make_night):
    nights = [JANUARY, JANUARY + timedelta(days=30), FEBRUARY, MARCH, APRIL]
    for cutoff in nights:
        publish_forecast(output, make_night(cutoff))

    assert forget_nights(output, "sales", MARCH + timedelta(days=20)) == 3

    assert list(months(output)) == ["forecast_2024_03", "forecast_2024_04", "forecast_2024_05"]
    assert [night["cutoff"] for night in publications(output, "sales")] == [MARCH, APRIL]
    assert forget_nights(output, "sales", MARCH + timedelta(days=20)) == 0


def test_a_month_in_which_another_job_has_a_night_keeps_that_night_only(output, make_night):
    for cutoff in (JANUARY, FEBRUARY):
        publish_forecast(output, make_night(cutoff))
    publish_forecast(output, make_night(FEBRUARY, job="other"))

    assert forget_nights(output, "sales", MARCH) == 2

    assert list(months(output)) == ["forecast_2024_02", "forecast_2024_03"]
    assert forecast_of(output, "other", FEBRUARY).num_rows == 6
    with output.connect() as connection:
        assert connection.execute(sa.text("SELECT DISTINCT job FROM forecast")).scalars().all() == ["other"]


def test_a_night_that_is_being_published_into_an_old_month_is_waited_for_and_kept(output, make_night):
    publish_forecast(output, make_night(JANUARY))
    forgotten = []
    thread = threading.Thread(target=lambda: forgotten.append(forget_nights(output, "sales", MARCH)))

    def forget_meanwhile():
        thread.start()
        with output.connect() as connection:
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'forecast'::regclass")
            while not connection.execute(waiting).scalar_one():
                connection.rollback()

    publish_forecast(output, make_night(JANUARY, job="other"), before_commit=forget_meanwhile)
    thread.join()

    assert forgotten == [1]
    assert forecast_of(output, "other", JANUARY).num_rows == 6
    assert publications(output, "sales") == []


def test_where_a_reader_stays_nothing_is_dropped_and_nothing_is_lost(output, make_night, monkeypatch):
    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.1)
    publish_forecast(output, make_night(JANUARY))
    with output.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM forecast"))
        with pytest.raises(StorageError, match="lock timeout"):
            forget_nights(output, "sales", MARCH)
    assert forecast_of(output, "sales", JANUARY).num_rows == 6
    assert forget_nights(output, "sales", MARCH) == 1


def test_tables_of_another_schema_get_their_months_there(engine, make_night, run_sql):
    run_sql('CREATE SCHEMA "Odd schema"', f'ALTER DATABASE {engine.url.database} SET search_path = "Odd schema"')
    migrate(engine)
    publish_forecast(engine, make_night(MARCH))
    assert sa.inspect(engine).get_table_names(schema="public") == []
    assert list(months(engine)) == ["forecast_2024_03", "forecast_2024_04"]
