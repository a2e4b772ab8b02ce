"""What `nightcast doctor` says of an installation that is not well."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.server import doctor
from flows.server.doctor import IMPORT_NAMES, Check, Problem

ROOT = Path(__file__).parents[3]


def a_distribution(folder: Path, name: str, module: str) -> None:
    """Another distribution in a folder of packages, as pip leaves one there."""
    (folder / module).mkdir(parents=True)
    (folder / module / "__init__.py").touch()
    metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "RECORD").write_text(f"{module}/__init__.py,,\n", encoding="utf-8")


def test_import_names_are_those_that_the_wheel_packs():
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert [f"{name}*" for name in IMPORT_NAMES] == packed


def test_an_installation_of_its_own_has_no_clash_of_import_names():
    found = doctor._check("import names", doctor._import_names)
    assert found == Check("import names", True, "flows, tasks, models, sql belong to nightcast alone")


def test_another_distribution_with_one_of_the_import_names_is_named_with_the_remedy(tmp_path, monkeypatch):
    a_distribution(tmp_path, "django-zoo", "models")
    a_distribution(tmp_path, "taskmaster", "tasks")
    a_distribution(tmp_path, "harmless", "something_else")
    monkeypatch.syspath_prepend(tmp_path)
    found = doctor._check("import names", doctor._import_names)
    assert not found.ok
    assert found.found == (
        "tasks is also a module of taskmaster; models is also a module of django-zoo. Python may import the wrong one. "
        "Install nightcast into an environment of its own."
    )


def test_a_missing_package_is_named_with_a_remedy_for_wheels_and_clones(monkeypatch):
    def version(name: str) -> str:
        if name == "keras":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(doctor, "version", version)
    with pytest.raises(Problem, match=r"not installed: keras\. Install the nightcast wheel again.*`make setup`"):
        doctor._versions()


def test_what_fails_unexpectedly_is_one_bad_verdict_and_no_end():
    assert doctor._check("gravity", lambda: str(1 / 0)) == Check(
        "gravity", False, "ZeroDivisionError: division by zero"
    )


def test_what_is_not_installed_is_not_told_as_ok(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", missing)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    driver = doctor._check("postgresql driver", doctor._postgresql_driver)
    assert (driver.ok, driver.used) == (True, False)
    server = doctor._check("prefect", doctor._prefect)
    assert server == Check("prefect", True, "PREFECT_API_URL is not set, so nights run without a Prefect server", False)
    monkeypatch.setattr("flows.server.doctor.examine", lambda job: [driver, server, Check("a", True, "b")])
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert [line[:3] for line in result.stdout.splitlines()] == ["-  ", "-  ", "ok "]
