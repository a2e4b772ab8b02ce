import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sql.engine.connection import connect, resolve_url
from sql.errors import StorageError
from sql.migrations import migrate as migrations
from sql.migrations.migrate import VERSION_TABLE, migrate, newest_version
from sql.output.history import forecast_of
from sql.output.publish import publish_forecast
from sql.output.tables import metadata

NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


def test_an_empty_database_gets_every_table_and_the_view(engine):
    migrate(engine)
    inspector = sa.inspect(engine)
    assert {*inspector.get_table_names()} == {*metadata.tables, VERSION_TABLE}
    assert sorted(inspector.get_view_names()) == ["forecast_vs_actual", "latest_forecast"]


def test_the_migrated_tables_are_those_that_the_code_knows(output):
    def is_ours(name, kind, parents):
        return kind != "table" or name != VERSION_TABLE

    with output.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(output, make_night):
    publish_forecast(output, make_night())
    before = forecast_of(output, "sales", datetime(2024, 1, 31, tzinfo=UTC))
    migrate(output)
    assert forecast_of(output, "sales", datetime(2024, 1, 31, tzinfo=UTC)).equals(before)


def _migrate(url):
    migrate(connect(resolve_url(url)))


def test_two_processes_may_migrate_at_once(database_url):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_migrate, args=(database_url,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert "forecast" in sa.inspect(connect(resolve_url(database_url))).get_table_names()


def test_somebody_elses_table_of_the_same_name_is_left_alone(engine, run_sql):
    run_sql("CREATE TABLE model (name TEXT)", "INSERT INTO model VALUES ('theirs')")
    with pytest.raises(StorageError, match=r"another application .*: model\. Name another database"):
        migrate(engine)
    assert sa.inspect(engine).get_table_names() == ["model"]


def test_tables_of_a_newer_release_are_refused(output, run_sql):
    run_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StorageError, match=r"'9999'.*a newer release wrote them"):
        migrate(output)


def test_the_version_that_the_file_names_tell_is_the_newest_of_the_migrations():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    assert next(script.walk_revisions()).revision == newest_version()
    for each in script.walk_revisions():
        assert Path(each.path).name.partition("_")[0] == each.revision
