"""The glossary names what is there: each name in its tables stands in the code, the tables or the job file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in row] for row in re.findall(r"^\| (?!term)([^|\n]+)\|([^|]+)\|([^|]+)\|([^|\n]+)\|$",
                                                            GLOSSARY, re.MULTILINE)]  # fmt: skip
NAMES = sorted({name for _, _, where, _ in ROWS for name in re.findall(r"`([^`]+)`", where)})


@pytest.fixture(scope="module")
def code() -> str:
    """All code of the product, whose docstrings do not count."""
    files = [file for package in ("flows", "tasks", "models", "sql") for file in (ROOT / package).rglob("*.py")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return re.sub(r'"""(?s:.*?)"""', "", text)


def found(name: str, code: str) -> bool:
    if "/" in name:
        return (ROOT / name).is_dir()
    # Columns of quantile levels are made from the level.
    return re.search(rf"\b{name}\b", code) is not None or re.fullmatch(r"q0_\d+", name) is not None


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_the_glossary_stands_in_the_code(name: str, code: str) -> None:
    assert found(name, code)


def test_a_name_that_is_gone_would_be_found(code: str) -> None:
    assert not found("rehearsed", code)
    assert not found("models/hall", code)


def test_every_row_of_the_glossary_is_whole_and_no_term_stands_twice() -> None:
    terms = [term for term, *_ in ROWS]
    assert len(terms) > 50
    assert len(set(terms)) == len(terms)
    for row in ROWS:
        assert all(row), row
