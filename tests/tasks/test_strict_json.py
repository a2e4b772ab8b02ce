"""JSON that every reader accepts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from tasks.strict_json import strict_json


def test_a_figure_that_is_not_finite_is_null_however_deep_it_is():
    document = {"a": [1.5, float("nan"), {"b": float("-inf")}], "c": (float("inf"), 2)}
    assert json.loads(strict_json(document)) == {"a": [1.5, None, {"b": None}], "c": [None, 2]}


def test_what_json_has_no_type_for_is_written_as_text():
    document = {"at": datetime(2024, 3, 1, tzinfo=UTC), "file": Path("a/b"), "name": "Zoë"}
    assert strict_json(document) == '{"at": "2024-03-01T00:00:00+00:00", "file": "a/b", "name": "Zo\\u00eb"}'
