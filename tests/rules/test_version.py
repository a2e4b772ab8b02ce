"""The version stands in pyproject.toml; where another file must repeat it, it is the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from flows.cli import main

ROOT = Path(__file__).parents[2]


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_deployments_carry_the_version_of_the_project() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    assert {deployment["version"] for deployment in deployments} == {project()["version"]}


def test_the_newest_entry_of_the_changelog_is_the_version_of_the_project() -> None:
    headings = re.findall(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == project()["version"]


def test_the_command_says_its_version() -> None:
    answer = CliRunner().invoke(main, ["--version"], prog_name="nightcast").output
    assert answer == f"nightcast {project()['version']}\n"


def test_an_index_refuses_an_upload_by_mistake() -> None:
    assert "Private :: Do Not Upload" in project()["classifiers"]
