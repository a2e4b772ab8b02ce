"""Every number, text and list of a job file has a bound, and what lies beyond it is refused with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml

from benchmarks.shared.mutations import VALID_JOB
from flows.job.problems import problems_of
from tasks.night.job import Job

# Checked with a message of their own: no value of a source lies beyond a float32.
BY_VALIDATOR = {"ForecastSettings.lower_bound", "ForecastSettings.upper_bound"}
_BOTH: list[tuple[str, ...]] = [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")]
BOUNDS: dict[str, list[tuple[str, ...]]] = {
    "integer": _BOTH,
    "number": _BOTH,
    "string": [("maxLength",)],
    "array": [("maxItems",)],
    "object": [("maxProperties",)],
}


def settings(schema: Any, where: str = "Job") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a JSON schema that is a number, a text or a list."""
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from settings(part, where)
    elif schema.get("type") in ("integer", "number", "string", "array") and "enum" not in schema:
        yield where, schema
        yield from settings(schema.get("items", {}), where)
    elif isinstance(schema.get("additionalProperties"), dict):
        yield where, schema
    for name, inner in schema.get("properties", {}).items():
        yield from settings(inner, f"{where}.{name}")
    for name, inner in schema.get("$defs", {}).items():
        yield from settings(inner, name)


def test_every_number_text_and_list_has_a_bound():
    found = [*settings(Job.model_json_schema())]
    assert len(found) > 80
    unbounded = [
        where
        for where, schema in found
        if where not in BY_VALIDATOR and not all(any(key in schema for key in keys) for keys in BOUNDS[schema["type"]])
    ]
    assert unbounded == []


def test_the_job_with_every_part_is_within_all_bounds():
    assert problems_of(yaml.safe_load(VALID_JOB)) == []


@pytest.mark.parametrize(
    ("part", "found", "words"),
    [
        ("forecast", {"season_lengths": [10**12]}, "1000000 (found 1000000000000). At most 10 seasons of 1,000,000"),
        ("forecast", {"season_lengths": [7] * 11}, "at most 10 items, not 11"),
        ("forecast", {"quantile_levels": [1e-300]}, "At most 200 levels, at least 0.0001 from 0, from 1"),
        ("forecast", {"quantile_levels": [n / 2_000 for n in range(1, 2_000)]}, "at most 200 items, not 1999"),
        ("forecast", {"quantile_levels": [0.5, 0.50001]}, "holds 0.5 and 0.50001, less than 0.0001 apart. Keep one"),
        ("forecast", {"quantile_levels": [0.5, 0.5]}, "holds a level twice: 0.5"),
        ("forecast", {"horizon": 10_001}, "At most 10,000 steps, 100 years, and 100,000 steps times quantile levels"),
        ("forecast", {"horizon": 10_000, "quantile_levels": [n / 100 for n in range(1, 12)]}, "gives 110,000 outputs"),
        ("forecast", {"frequency": "YS", "horizon": 101, "origin": None}, "reach 101 years ahead; the most are 100"),
        ("forecast", {"frequency": "99999999999999D", "origin": None}, "has steps of more than ten years"),
        ("forecast", {"frequency": f"{'9' * 38}D", "origin": None}, "is not a pandas offset alias"),
        ("forecast", {"frequency": "D" * 41, "origin": None}, "at most 40 characters"),
        ("forecast", {"origin": "9999-12-31"}, "lies before 1700 or after 2250; name another step"),
        ("forecast", {"origin": "0001-01-01"}, "lies before 1700 or after 2250; name another step"),
        ("forecast", {"origin": "today"}, "origin: 'today' is not a time"),
        ("training", {"seed": 2**63}, "At most 2,147,483,647, because generators take 32 bits"),
        ("training", {"retrain_after_days": 1e300}, "less than or equal to 36525 (found 1e+300)"),
        ("training", {"time_limit": 1e9}, "At most 604,800, a week"),
        ("training", {"batch_size": 65_536, "max_steps": 1}, "in memory at once; the most are 50,000,000"),
        ("network", {"head": [8] * 200}, "At most 16 layers: deeper ones hardly train"),
        ("network", {"layers": [{"units": 8}] * 17}, "At most 16 layers: deeper stacks hardly train"),
        ("source", {"delay_hours": 1e300}, "At most 8,784, a year"),
        ("source", {"query": "x" * 65_537, "table": None}, "At most 65,536 characters; for more, make a view"),
        ("output", {"parquet": f"s3://b/{'x' * 256}"}, "of more than 255 bytes; shorten it"),
        ("runner", {"gpu_wait": 1e9}, "At most 604,800, a week"),
        ("monitor", {"reference_nights": 10**9}, "At most 3,660, ten years of days"),
        ("monitor", {"false_alarms_per_year": 1e-300}, "At least 0.001, one in a thousand years"),
        ("hierarchy", {"aggregates": [["store"]] * 101}, "At most 100 lists of 20 columns"),
    ],
)  # fmt: skip
def test_a_number_beyond_reason_is_refused_with_the_reason(part, found, words):
    document = deepcopy(yaml.safe_load(VALID_JOB))
    document["network"]["context_length"] = 1_000
    document[part] |= found
    assert words in "\n".join(problems_of(document))
