"""Each direct dependency is listed with its reason, and `make audit` never takes silence for good news."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def listed(title: str) -> list[tuple[str, ...]]:
    """The rows of the table under a title."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in section.splitlines()]
    return [(row[0].strip("`"), *row[1:]) for row in rows if row[0].startswith("`")]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_package_that_is_asked_for_is_listed_with_its_reason() -> None:
    of_all = listed("Of every installation")
    assert [row[0] for row in of_all] == [name_of(each) for each in PROJECT["dependencies"]]
    extras = listed("Of extras") + listed("Of the tests and tools")
    found = {(row[0], extra.strip("` ")) for row in extras for extra in row[1].split(",")}
    assert found == {(name_of(each), extra) for extra, all in PROJECT["optional-dependencies"].items() for each in all}
    assert [row for row in of_all if not row[1]] == []
    assert [row for row in extras if not row[2]] == []


def test_every_locked_file_is_audited(audit: ModuleType) -> None:
    # The peers of benchmarks/ are not shipped, and not hashed.
    assert {*audit.LOCKED, "peers"} == {file.stem for file in (ROOT / "requirements").glob("*.txt")}


def test_an_audit_names_each_vulnerability_with_the_version_that_mends_it(audit: ModuleType) -> None:
    found = {"id": "PYSEC-1", "aliases": ["CVE-2024-1"], "fix_versions": ["1.1"], "description": "bad"}
    text, code = audit.verdict([{"name": "a", "version": "1.0", "vulns": [found]}, {"name": "b", "skip_reason": "?"}])
    assert code == 1
    assert text.startswith("a 1.0: PYSEC-1 (CVE-2024-1), mended in 1.1\n")
    assert text.endswith("1 not audited.")


def test_an_audit_that_could_not_ask_about_every_package_is_none(audit: ModuleType) -> None:
    known = {"name": "a", "version": "1.0", "vulns": []}
    text, code = audit.verdict([known, known, {"name": "b", "skip_reason": "not found"}])
    assert (text.partition(".")[0], code) == ("Not audited: the index tells nothing of 1 of 2 locked packages (b)", 1)
    assert audit.verdict([known, known | {"name": "b"}]) == ("2 locked packages have no known vulnerability.", 0)


def test_what_the_package_carries_is_as_it_was_when_it_was_listed() -> None:
    files = {row[0]: row[1].strip("`") for row in listed("Carried in the package") if len(row) == 2}
    folder = ROOT / "tasks" / "report" / "series"
    assert files == {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.glob("uplot.*")}
