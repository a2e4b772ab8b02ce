"""Databases of past releases, kept under `releases/`: each of them can be migrated, and none changes afterwards."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from sql.migrations.migrate import VERSION_TABLE, migrate, newest_version
from sql.output.history import latest_forecast, publications
from sql.output.publish import publish_forecast
from sql.output.tables import metadata

ROOT = Path(__file__).parents[3]
RELEASES = Path(__file__).parent / "releases"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
KEPT = sorted((folder.name for folder in RELEASES.iterdir()), key=lambda name: [int(part) for part in name.split(".")])


def is_released(version: str) -> bool:
    return f"## {version}, not yet released" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def schema_of(dump: str) -> list[str]:
    return [line for line in dump.splitlines() if not line.startswith("INSERT INTO ")]


def rows_of(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables and views, as the database has them."""
    found = sa.MetaData()
    found.reflect(engine, views=True)
    with engine.connect() as connection:
        return {
            name: sorted((dict(row) for row in connection.execute(sa.select(table)).mappings()), key=repr)
            for name, table in found.tables.items()
        }


@pytest.fixture
def keep_release(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--keep-release", default=False))


@pytest.fixture(params=KEPT)
def kept(request: pytest.FixtureRequest, dialect: str, restore: Callable[[Path], sa.Engine]) -> Iterator[sa.Engine]:
    """The database of a past release."""
    engine = restore(RELEASES / request.param / f"{dialect}.sql")
    yield engine
    engine.dispose()


def test_the_newest_kept_release_has_the_tables_of_today_unless_a_migration_was_added(
    keep_release, todays_database, dump, dialect, restore
):
    file = RELEASES / VERSION / f"{dialect}.sql"
    if keep_release:
        assert not is_released(VERSION), f"{VERSION} is released. Raise the version in pyproject.toml first."
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dump(todays_database), encoding="utf-8")
    newest = restore(RELEASES / KEPT[-1] / f"{dialect}.sql")
    [version] = rows_of(newest)[VERSION_TABLE]
    if version["version_num"] == newest_version():
        remedy = "add a migration" if is_released(KEPT[-1]) else "keep the release again (CONTRIBUTING.md)"
        assert schema_of(dump(newest)) == schema_of(dump(todays_database)), f"The tables changed: {remedy}."


def test_this_version_is_kept_before_it_is_released():
    assert not is_released(VERSION) or VERSION in KEPT


def test_a_kept_release_has_something_in_every_column(kept):
    # The view and each partition show a part of `forecast`.
    tables = {name: rows for name, rows in rows_of(kept).items() if not re.match("latest_|forecast_", name)}
    assert [name for name, rows in tables.items() if not rows] == []
    columns = [(name, column) for name, rows in tables.items() for column in rows[0]]
    assert [each for each in columns if all(row[each[1]] is None for row in tables[each[0]])] == []
    assert {"q0_1", "q0_9"} < set(rows_of(kept)["forecast"][0])


def test_a_kept_release_is_migrated_to_exactly_the_tables_of_today(kept):
    migrate(kept)

    def is_ours(name, kind, parents):
        is_partition = kind == "table" and name.startswith("forecast_")
        is_quantile = kind == "column" and name.startswith("q0_")
        return not is_partition and not is_quantile and name != VERSION_TABLE

    with kept.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert newest_version() == rows_of(kept)[VERSION_TABLE][0]["version_num"]


def test_a_kept_release_keeps_its_rows(kept):
    before = rows_of(kept)
    migrate(kept)
    after = rows_of(kept)
    # The month ahead has no rows yet.
    empty = {name for name, rows in before.items() if not rows}
    assert {name: after[name] for name in empty} == {name: [] for name in empty & {"forecast_2024_03"}}
    for name in set(before) - {VERSION_TABLE} - empty:
        shared = before[name][0].keys() & after[name][0].keys()
        old, new = ([{key: row[key] for key in shared} for row in rows] for rows in (before[name], after[name]))
        assert sorted(new, key=repr) == sorted(old, key=repr), name


def test_the_view_of_a_migrated_release_shows_its_newest_night_and_then_the_next(kept, make_night):
    migrate(kept)
    nights = [row["cutoff"] for row in publications(kept, "sales")]
    with kept.connect() as connection:
        view = sa.text("SELECT DISTINCT median, q0_1, q0_9 FROM latest_forecast WHERE job = 'sales'")
        assert connection.execute(view).all() == [(2.0, 2.0, 2.0)]

    publish_forecast(kept, make_night(nights[-1] + (nights[-1] - nights[0]), 3.0, levels=("q0_1", "q0_5")))

    rows: pa.Table = latest_forecast(kept, "sales")
    assert rows["q0_5"].to_pylist() == [3.0] * 6
    with kept.connect() as connection:
        assert connection.execute(sa.text("SELECT DISTINCT q0_1, q0_5, q0_9 FROM latest_forecast")).all() == [
            (3.0, 3.0, None)
        ]


def test_postgresql_keeps_the_months_of_a_release(restore, make_engine, dialect):
    if dialect == "postgresql":
        tables = sa.inspect(restore(RELEASES / KEPT[0] / "postgresql.sql")).get_table_names()
        assert {"forecast_2024_01", "forecast_2024_02"} < set(tables)
