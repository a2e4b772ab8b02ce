"""Who may import whom. import-linter checks it; here it is checked that nothing escapes import-linter."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "models", "sql")
KNOW_KERAS = {"models.training", "tasks.quiet_keras"}


def contracts() -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return found


def wings(package: str) -> set[str]:
    """The folders and modules right inside a package."""
    folder = ROOT / package
    found = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return found - {"__init__"}


def test_imports_go_one_way() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for contract in contracts():
        assert f"{contract['name']} KEPT" in done.stdout


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_a_new_wing_must_be_given_its_layer(package: str) -> None:
    [layered] = [each for each in contracts() if each.get("containers") == [package]]
    assert layered["exhaustive"] is True
    named = {wing for layer in layered["layers"] for wing in layer.split(" | ")}
    assert named == wings(package)


def test_every_wing_but_the_one_for_training_is_forbidden_to_import_keras() -> None:
    [contract] = [each for each in contracts() if each["name"] == "One wing knows Keras"]
    named = set(contract["source_modules"])
    every = {f"{package}.{wing}" for package in PACKAGES for wing in wings(package)}
    covered = {wing for wing in every if wing in named or wing.partition(".")[0] in named}
    assert every - covered == KNOW_KERAS
