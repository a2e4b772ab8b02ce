"""The tests themselves."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_test_folder_is_a_package() -> None:
    # A `tests/models/__init__.py` would shadow the package `models`.
    assert not list((ROOT / "tests").rglob("__init__.py"))
