"""The garbage collector waits for a heavy import, once."""

from __future__ import annotations

import gc
import sys

import pytest

from tasks.heavy_imports import heavy_import


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Name of a module that can be imported, and holds whether the collector was at work meanwhile."""
    name = "imported_for_a_test"
    (tmp_path / f"{name}.py").write_text("import gc\ncollects = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)
    gc.unfreeze()


def test_the_collector_waits_for_the_import_and_never_searches_what_it_made(module):
    before = gc.get_freeze_count()
    with heavy_import(module):
        assert __import__(module).collects is False
    assert gc.isenabled()
    assert gc.get_freeze_count() > before


def test_what_is_imported_already_leaves_the_collector_alone(module):
    before = gc.get_freeze_count()
    __import__(module)
    with heavy_import(module):
        assert gc.isenabled()
    assert gc.get_freeze_count() == before


def test_the_collector_works_again_after_an_import_that_fails(module):
    with pytest.raises(ImportError), heavy_import(module):
        raise ImportError(name=module)
    assert gc.isenabled()
    gc.disable()
    try:
        with heavy_import(module):
            pass
        # Whoever switched it off had a reason.
        assert not gc.isenabled()
    finally:
        gc.enable()
