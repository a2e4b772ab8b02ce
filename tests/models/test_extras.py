"""What a person is told to install."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

from models.extras import PIP, how_to_install
from sql.engine.connection import POSTGRESQL_SETUP
from sql.source.duckdb_reader import DUCKDB_SETUP

ROOT = Path(__file__).parents[2]
SENTENCES = {extra: how_to_install(extra) for extra in PIP} | {"postgres": POSTGRESQL_SETUP, "duckdb": DUCKDB_SETUP}


def locked(extra: str) -> set[str]:
    """The packages that `requirements/` names for an extra."""
    text = (ROOT / "requirements" / f"{extra}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9][a-z0-9-]*)==", text, re.MULTILINE))


def required(package: str) -> set[str]:
    """The packages that an installed one requires, and what these require."""
    found = set[str]()
    for line in requires(package) or []:
        name = re.match(r"[\w-]+", line)[0].lower().replace("_", "-")
        if "extra ==" not in line and name not in locked("base"):
            found |= {name} | required(name)
    return found


def named(command: str) -> list[str]:
    return [re.sub(r"\[.*\]", "", word.strip("'")) for word in command.split() if not word.startswith("-")]


@pytest.mark.parametrize("extra", SENTENCES)
def test_a_remedy_names_the_packages_of_the_extra_and_the_lock_of_a_clone(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    command, clone = re.fullmatch(r"[Rr]un `(.*)` \(in a clone of the project: `(.*)`\)", SENTENCES[extra]).groups()
    for requirement in project["optional-dependencies"][extra]:
        assert re.split(r"[>=<]", requirement)[0] in command
    assert clone.endswith(f"-r requirements/{extra}.txt")
    assert (ROOT / "requirements" / f"{extra}.txt").is_file()


@pytest.mark.parametrize("extra", PIP)
def test_the_command_installs_all_that_the_lock_of_the_extra_adds(extra):
    installed = set[str]()
    for command in PIP[extra].split(" && "):
        packages = named(command.removeprefix("pip install "))
        installed |= set(packages)
        if "--no-deps" not in command:
            installed = installed.union(*(required(package) for package in packages))
    # Required on some versions of Python only, and by hierarchicalforecast as an extra of its own: qpsolvers[clarabel].
    conditional = {"importlib-metadata", "zipp", "clarabel"}
    assert locked(extra) - locked("base") - installed <= conditional
