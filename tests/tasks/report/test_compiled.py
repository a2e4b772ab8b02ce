"""Compiled templates are kept beside Python's compiled modules, and never believed where they are of another source."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from tasks.report.compiled import CompiledTemplates


@pytest.fixture(autouse=True)
def python_writes(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


@pytest.fixture
def page(tmp_path) -> Path:
    file = tmp_path / "page.html"
    file.write_text("Good night, {{ job }}")
    return file


def filled(page: Path) -> str:
    """What a process that has compiled nothing yet makes of the template."""
    environment = Environment(loader=FileSystemLoader(page.parent), bytecode_cache=CompiledTemplates(), autoescape=True)
    return environment.get_template(page.name).render(job="sales")


def kept(page: Path) -> list[Path]:
    return sorted(page.parent.glob("__pycache__/*"))


def test_a_template_is_compiled_once(page, monkeypatch):
    assert filled(page) == "Good night, sales"
    assert [file.name.split(".")[:2] for file in kept(page)] == [["page", "html"]]
    monkeypatch.setattr(Environment, "compile", lambda *_, **__: pytest.fail("compiled again"))
    assert filled(page) == "Good night, sales"


def test_a_changed_template_is_compiled_again(page):
    filled(page)
    page.write_text("Good morning, {{ job }}")
    assert filled(page) == "Good morning, sales"
    assert filled(page) == "Good morning, sales"


@pytest.mark.parametrize("found", [b"", b"half", "the right digest", "another digest"])
def test_a_damaged_file_is_written_again(page, found):
    filled(page)
    [file] = kept(page)
    digest, _, code = file.read_bytes().partition(b"\n")
    whole = digest + b"\n" + code
    damaged = {"the right digest": digest + b"\n" + code[:9], "another digest": b"0" * 64 + b"\n" + code}
    file.write_bytes(damaged.get(found, found))
    assert filled(page) == "Good night, sales"
    assert file.read_bytes() == whole


def test_a_folder_that_takes_no_file_costs_only_time(page):
    (page.parent / "__pycache__").write_text("no folder")
    assert filled(page) == "Good night, sales"


def test_where_python_is_told_to_keep_no_bytecode_there_is_none(page, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert filled(page) == "Good night, sales"
    assert kept(page) == []
