"""The wheel: it holds all that the product needs, and works in an environment of its own, far from the project."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "models", "sql")
# Alembic makes new migrations from it; only a developer does that.
STAYS_BEHIND = {"sql/migrations/script.py.mako"}
JOB = """
name: small
source: {url: "sqlite:///history.db", table: observations}
# No series is long enough to train on: the fallback forecasts.
forecast: {frequency: D, horizon: 7, min_history: 100}
output: {url: "sqlite:///forecasts.db", parquet: forecasts/, report: reports/}
"""


class Installed(NamedTuple):
    """A folder with a job, and a way to run a command of the environment there."""

    folder: Path
    run: Callable[..., subprocess.CompletedProcess[str]]
    site_packages: Path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, as a build leaves folders beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    program = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)
    [built] = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own; only its requirements come from the environment of the tests."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    install = ["--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    [site_packages] = environment.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but .pth files there are not read: the editable project stays out.
    (site_packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    folder = tmp_path_factory.mktemp("elsewhere")
    _make_job(folder)
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PREFECT"))}

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(environment / "bin" / program), *arguments]
        return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True, check=False)

    return Installed(folder, run, site_packages)


def _make_job(folder: Path) -> None:
    (folder / "small.yaml").write_text(JOB, encoding="utf-8")
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(60)]
    with closing(sqlite3.connect(folder / "history.db")) as connection, connection:
        connection.execute("CREATE TABLE observations (series_id TEXT, timestamp TEXT, value REAL)")
        rows = [(name, day.isoformat(), 10.0 + day.weekday()) for name in ("apples", "pears") for day in days]
        connection.executemany("INSERT INTO observations VALUES (?, ?, ?)", rows)


def test_the_wheel_holds_every_file_of_the_four_packages_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == wanted - STAYS_BEHIND
    assert {
        "flows/deployments/prefect.yaml",
        "flows/night/schedules.yaml",
        "flows/night/store-sales.yaml",
        "sql/migrations/env.py",
        "sql/rights/output_writer.sql",
        "sql/migrations/versions/0001_tables.py",
    } <= names
    assert any(name.startswith("tasks/report/") and name.endswith(".html") for name in names)


def test_an_index_would_refuse_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        assert "Classifier: Private :: Do Not Upload\n" in archive.read(metadata).decode()


def test_the_environment_runs_the_wheel_and_not_the_project(installed: Installed) -> None:
    program = (
        f"import json, {', '.join(PACKAGES)}; print(json.dumps([each.__file__ for each in ({', '.join(PACKAGES)})]))"
    )
    done = installed.run("python", "-c", program)
    assert [Path(file).parent.parent for file in json.loads(done.stdout)] == [installed.site_packages] * len(PACKAGES)


def test_the_installed_command_has_its_verbs(installed: Installed) -> None:
    done = installed.run("nightcast", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("demo", "run", "check", "doctor"):
        assert f"\n  {verb} " in done.stdout


def test_the_installed_doctor_finds_everything_well(installed: Installed) -> None:
    done = installed.run("nightcast", "doctor", "small.yaml", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert "nightcast " in checks["versions"]["found"]
    assert [check for check in checks.values() if not check["ok"]] == []
    assert done.returncode == 0


def test_the_installed_check_reads_a_job(installed: Installed) -> None:
    done = installed.run("nightcast", "check", "small.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["audit"]["series"] == 2
    assert not (installed.folder / "forecasts.db").exists()


def test_an_installed_night_makes_its_tables_and_its_report(installed: Installed) -> None:
    done = installed.run("nightcast", "run", "small.yaml", "--cutoff", "2025-03-01", "--json")
    assert done.returncode == 0, done.stderr
    night = json.loads(done.stdout)
    with closing(sqlite3.connect(installed.folder / "forecasts.db")) as connection:
        assert connection.execute("SELECT count(*) FROM latest_forecast").fetchone() == (14,)
    assert "<html" in Path(night["report"]).read_text(encoding="utf-8")
