"""Nothing that a night reads may run code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Keras's own files may hold code as well; weights are read as arrays.
UNSAFE = re.compile(r"allow_pickle=True|pickle\.loads?\b|joblib|dill|load_model\(|safe_mode=False|unsafe_load")


def test_no_module_loads_a_pickle_or_a_file_of_keras() -> None:
    modules = [file for package in ("flows", "tasks", "models", "sql") for file in (ROOT / package).rglob("*.py")]
    assert len(modules) > 200
    for file in modules:
        found = UNSAFE.search(file.read_text(encoding="utf-8"))
        assert found is None, f"{file.relative_to(ROOT)} has {found and found[0]}"
