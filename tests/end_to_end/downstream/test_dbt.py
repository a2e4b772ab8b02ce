"""The dbt package: its SQL on both databases, and all of it under dbt itself where `--dbt` names one (`make dbt`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pytest
import sqlalchemy as sa
import yaml

from sql.engine.connection import connect, resolve_url
from sql.output.tables import metadata
from sql.output.views import views

PACKAGE = Path(__file__).parents[3] / "examples" / "dbt"
SOURCES = yaml.safe_load((PACKAGE / "models" / "sources.yml").read_text(encoding="utf-8"))["sources"][0]["tables"]
SCHEMAS = {"sqlite": "main", "postgresql": "public"}


def rendered(file: Path, kind: str) -> str:
    """The SQL of a file of the package; stands for the little of dbt that the package uses."""
    macros = "".join(each.read_text(encoding="utf-8") for each in sorted((PACKAGE / "macros").glob("*.sql")))
    adapter = "sqlite" if kind == "sqlite" else "default"
    templates = jinja2.Environment()

    class Adapter:
        @staticmethod
        def dispatch(name: str, package: str) -> Any:
            assert package == "nightcast"
            return getattr(templates.from_string(macros).module, f"{adapter}__{name}")

    templates.globals.update(
        adapter=Adapter,
        source=lambda group, table: f"{SCHEMAS[kind]}.{table}",
        ref=lambda model: f"({rendered(PACKAGE / 'models' / f'{model}.sql', kind)}) {model}",
    )
    templates.globals["return"] = lambda value: value
    return templates.from_string(macros + file.read_text(encoding="utf-8")).render()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def rows_of(engine: sa.Engine, query: str) -> pd.DataFrame:
    with engine.connect() as connection:
        return pd.read_sql(sa.text(query), connection)


def check_models(weekly: pd.DataFrame, chart: pd.DataFrame, engine: sa.Engine) -> None:
    """The models say what the view says."""
    known = rows_of(engine, "SELECT * FROM forecast_vs_actual WHERE actual IS NOT NULL")
    of_series = known.assign(size=known["error"].abs(), inside=known["inside"].astype(float)).groupby("series_id")
    again = weekly.assign(total=weekly["mae"] * weekly["n"], covered=weekly["coverage"] * weekly["n"]).groupby(
        "series_id"
    )
    assert again["n"].sum().to_dict() == of_series.size().to_dict()
    assert again["total"].sum().to_dict() == pytest.approx(of_series["size"].sum().to_dict())
    assert again["covered"].sum().to_dict() == pytest.approx(of_series["inside"].sum().to_dict())
    assert {pd.Timestamp(week).day_of_week for week in weekly["week"]} == {0}
    newest = rows_of(engine, "SELECT MAX(cutoff) AS cutoff FROM publication")["cutoff"][0]
    ahead = chart[chart["actual"].isna()]
    assert {str(each) for each in ahead["forecast_at"]} == {str(newest)}
    assert len(ahead) == 7 * chart["series_id"].nunique()


def test_the_models_say_what_the_view_says(jobs: Any, kind: str) -> None:
    engine = jobs[kind][1]
    weekly, chart = (
        rows_of(engine, rendered(PACKAGE / "models" / f"{name}.sql", kind))
        for name in ("weekly_accuracy", "actual_and_forecast")
    )
    check_models(weekly, chart, engine)


def test_the_tests_of_the_package_find_no_fault_in_whole_nights_and_one_in_a_night_with_a_row_too_few(
    jobs: Any, kind: str, tmp_path: Path
) -> None:
    folder, engine = jobs[kind]
    for file in sorted((PACKAGE / "tests").glob("*.sql")):
        assert rows_of(engine, rendered(file, kind)).empty, file.name
    if kind == "sqlite":
        shutil.copy(folder / "forecasts.db", tmp_path)
        copy = connect(resolve_url(f"sqlite:///{tmp_path}/forecasts.db"))
        with copy.begin() as connection:
            connection.exec_driver_sql("DELETE FROM forecast WHERE step = 7 AND series_id = '*/*'")
        found = rows_of(copy, rendered(PACKAGE / "tests" / "every_night_is_whole.sql", kind))
        assert (found["published"] - found["found"]).tolist() == [1] * 4


def test_the_package_names_only_tables_and_columns_that_there_are() -> None:
    tables = {**metadata.tables, **views.tables}
    named = {
        (table["name"], column["name"])
        for table in SOURCES
        for column in [*table.get("columns", []), *[{"name": "job"}]]
    }
    named |= {("publication", table["config"]["loaded_at_field"]) for table in SOURCES if "config" in table}
    assert {(table, column) for table, column in named if column not in tables[table].c} == set()


@pytest.fixture
def dbt(request: pytest.FixtureRequest, jobs: Any, kind: str, tmp_path: Path) -> Any:
    """Runs a command of dbt on the package and a job's tables; on SQLite on a copy of them."""
    program = request.config.getoption("--dbt")
    if program is None:
        pytest.skip("dbt has an environment of its own: make dbt")
    shutil.copytree(PACKAGE, tmp_path / "package")
    folder, engine = jobs[kind]
    settings = {"NIGHTCAST_FILE": str(tmp_path / "forecasts.db"), "NIGHTCAST_FOLDER": str(tmp_path)}
    if kind == "sqlite":
        shutil.copy(folder / "forecasts.db", tmp_path)
    else:
        url = engine.url
        settings |= {
            "NIGHTCAST_HOST": str(url.query["host"]),
            "NIGHTCAST_DATABASE": str(url.database),
            "NIGHTCAST_USER": str(url.username),
        }

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        target = ["--target", "sqlite" if kind == "sqlite" else "postgres"]
        given = ["--profiles-dir", ".", *target, "--vars", json.dumps({"nightcast_schema": SCHEMAS[kind]})]
        environment = os.environ | settings | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        return subprocess.run(
            [program, *command, *given], cwd=tmp_path / "package", env=environment, capture_output=True, text=True
        )

    return run


def test_dbt_builds_the_models_and_finds_no_fault(dbt: Any, jobs: Any, kind: str, tmp_path: Path) -> None:
    done = dbt("build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ERROR=0" in done.stdout
    engine, schema = jobs[kind][1], "analytics."
    if kind == "sqlite":
        engine, schema = connect(resolve_url(f"sqlite:///{tmp_path}/forecasts.db")), ""
    weekly, chart = (
        rows_of(engine, f"SELECT * FROM {schema}{name}") for name in ("weekly_accuracy", "actual_and_forecast")
    )
    check_models(weekly, chart, jobs[kind][1])


# SQLite has no times, and dbt takes no text for one.
@pytest.mark.parametrize("kind", ["postgresql"])
def test_dbt_tells_how_old_the_newest_night_is(dbt: Any) -> None:
    done = dbt("source", "freshness")
    # The nights were published a moment ago.
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS freshness of nightcast.publication" in done.stdout
