"""Job files, tables and command lines as nobody should write them, each drawn from a seeded `random.Random`.

The tests draw some of each, and the fault campaign thousands. The same seed gives the same input.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import yaml

VALID_JOB = """\
name: fuzzed
source:
  url: sqlite:///source.db
  table: history
  series_id: [store, item]
  timestamp: sold_at
  value: units
  static: [store]
  static_numbers: [area]
  known_future: [promotion]
  observed_past: [visitors]
  recorded_at: loaded_at
  delay_hours: 2
  known_future_from:
    - {table: weather, series_id: [], columns: [warmth], recorded_at: issued_at}
forecast:
  frequency: D
  horizon: 28
  time_zone: Europe/Madrid
  origin: 2024-01-01
  season_lengths: [7, 364]
  holidays: [ES-MD, US-CA]
  missing_future: {promotion: zero}
  quantile_levels: [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
  lower_bound: 0
  upper_bound: 1.0e+9
  min_history: 3
audit: {duplicates: mean, gaps: zero, dead_after_steps: 60, stale_after_steps: 3}
hierarchy: {aggregates: [store, []], method: bottom_up}
network:
  segment: 7
  context_length: 56
  layers:
    - {cell: gru, units: 128}
    - {cell: lstm, units: 64}
  head: [64]
  members: 2
  dropout: 0.1
  input: {tokens: {vocabulary: 100, dimension: 16}, series_embedding: 8, static_embedding: 4}
training: {policy: auto, time_limit: 300, seed: 0, learning_rate: 0.01, batch_size: 64, max_steps: 100, patience: 8}
promotion: {evidence: 20, nights: 42}
calibration: {half_life: 60, rate: 0.05}
runner: {shard_series: 1000, processes: 2}
schedule: {catch_up: newest, second_run: queued}
output: {url: sqlite:///forecasts.db, parquet: forecasts/, keep_days: 400}
monitor: {segments: [store], signals: [loss, bias], reference_nights: 180, hindcast_nights: 28}
notify: {webhook: "${HOOK}", targets: ["${MAIL}"], repeat_after_days: 7}
"""
"""A job file with every part, which every mutation starts from."""

_DEEP: Any = [[]]
for _ in range(200):
    _DEEP = [_DEEP]

EXTREME_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**18, 10**30, 10**300, -(10**30), 0.0, -0.0, 0.5, 5e-324,
    1e-300, 1e300, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"), "", " ", "0", "-1", "1e400",
    "nan", "null", "x" * 5_000, "\x00", "\x1b[31m", "\u202e",
    "\U0001f600", "../..", "/", "~", "*",
    "'; DROP TABLE run; --", '"', "${", "${}", "${NOT_SET}", "${A}" * 300, "{0.__class__}", "%s%n", "99999999999999D",
    "1s", "W-XYZ", "0D", "-1D", "ns", "Europe/Nowhere", "2024-13-45", "9999-12-31", "0001-01-01", "sqlite://", "://",
    "http://[", "postgresql://a:b@h:99999999/d", "duckdb:///x", "parquet:///", "s3://", [], [[]], [None], [1, "a"],
    [0.5] * 3_000, [f"c{number}" for number in range(3_000)], [1e-300, 2e-300], [0.5, 0.5000000001], {}, {"": ""},
    {"a": {"a": {}}}, {f"k{number}": number for number in range(2_000)}, _DEEP, date(1, 1, 1), date(9999, 12, 31),
    datetime.fromisoformat("2024-01-01 12:00"), b"\xff\x00", b"name",
]  # fmt: skip
"""Values that no setting should choke on, whatever its type."""

YAML_TOKENS = [
    "&a", "*a", "*b", "<<: *a", "<<: [*a, *a]", "!!python/object:os.system", "!!binary", "!!set", "!!omap", "!!int x",
    "!!float x", "!!timestamp x", "!!bool x", "!!null x", "!x", "%YAML 9.9", "---", "...", "? ", "- ", ": ", "| ",
    ">", "\t", "\r", "\r\n", "\x00", "\x07", "\x85", "\u2028", "\ufeff", "'", '"', "[", "]", "{", "}", "[" * 1_000,
    "{a: " * 300, "# ", "@", "`", "~", "12:30", "1:2:3.4", "0o17", "017", "0x1F", "0b11", "1_000", "9" * 5_000,
    "1e99999", "1.0e+99999", ".inf", ".nan", "2024-13-45", "2024-01-01 25:61:00", "2024-01-01T00:00:00+99:99", "yes",
    "no", "NO", "=", "&a [*a]", "${HOME}", "name: x", "a" * 2_000, "\U0001f600",
]  # fmt: skip
"""Pieces of YAML that mean something, or must not."""


# libyaml, where PyYAML was built with it, writes several times as fast.
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def mutated_job_file(rng: Random) -> str:
    """A job file with one to four mutations of its text, or of its values.

    Bytes that are no UTF-8 stand in the text as lone surrogates: write it with `errors="surrogateescape"`.
    """
    if rng.random() < 0.45:
        return _with_changed_values(rng)
    text = VALID_JOB
    for _ in range(rng.randint(1, 4)):
        text = rng.choice(_TEXT_MUTATIONS)(text, rng)
    return text


def _with_changed_values(rng: Random) -> str:
    document = yaml.safe_load(VALID_JOB)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(_paths(document))
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        kind = rng.random()
        if kind < 0.7:
            parent[path[-1]] = deepcopy(rng.choice(EXTREME_VALUES))
        elif kind < 0.85:
            parent[path[-1]] = deepcopy(_value_at(document, rng.choice(_paths(document))))
        elif isinstance(parent, dict):
            parent[rng.choice(["", "x", "nmae", "url", "0", 0, None, True, "a" * 3_000, "\u202e"])] = parent.pop(
                path[-1]
            )
    return yaml.dump(document, Dumper=_DUMPER, allow_unicode=rng.random() < 0.5, sort_keys=False, width=1_000_000)


def _paths(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    found = list[tuple[Any, ...]]()
    for key, value in inner:
        found.append((*above, key))
        # A value that a mutation put there may be deep or long.
        if len(above) < 5 and len(found) < 500:
            found += _paths(value, (*above, key))
    return found


def _value_at(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def _swap_token(text: str, rng: Random) -> str:
    words = text.split(" ")
    words[rng.randrange(len(words))] = rng.choice(YAML_TOKENS)
    return " ".join(words)


def _insert_token(text: str, rng: Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(YAML_TOKENS) + text[at:]


def _replace_value(text: str, rng: Random) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(": ")
    lines[at] = f"{key}{colon}{rng.choice(YAML_TOKENS)}"
    return "\n".join(lines)


def _move_line(text: str, rng: Random) -> str:
    lines = text.split("\n")
    line = lines[rng.randrange(len(lines))]
    if rng.random() < 0.5:
        lines.remove(line)
    lines.insert(rng.randrange(len(lines) + 1), " " * rng.randint(0, 3) + line if rng.random() < 0.3 else line)
    return "\n".join(lines)


def _cut(text: str, rng: Random) -> str:
    begin = rng.randrange(len(text) + 1)
    return text[:begin] + text[begin + rng.choice([1, 3, 30, 300]) :] if rng.random() < 0.7 else text[:begin]


def _repeat(text: str, rng: Random) -> str:
    begin = rng.randrange(len(text) + 1)
    return text[:begin] + text[begin : begin + rng.choice([1, 5, 40])] * rng.choice([2, 10, 300]) + text[begin:]


def _change_bytes(text: str, rng: Random) -> str:
    written = bytearray(text.encode("utf-8", "surrogateescape"))
    for _ in range(rng.randint(1, 5)):
        if written:
            written[rng.randrange(len(written))] = rng.randrange(256)
    return bytes(written).decode("utf-8", "surrogateescape")


def _encode_anew(text: str, rng: Random) -> str:
    written = text.encode(rng.choice(["utf-16", "utf-16-be", "latin-1", "utf-8-sig", "cp1252"]), "replace")
    return written.decode("utf-8", "surrogateescape")


def _nested_aliases(text: str, rng: Random) -> str:
    depth, width = rng.choice([(3, 3), (9, 9), (40, 2), (300, 1)])
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)]
    return text + "\n".join(lines) + f"\nreplaces: *a{depth - 1}\n"


_TEXT_MUTATIONS: list[Callable[[str, Random], str]] = [
    _swap_token, _swap_token, _insert_token, _insert_token, _replace_value, _replace_value, _move_line, _cut, _repeat,
    _change_bytes, _encode_anew, _nested_aliases,
]  # fmt: skip

HOSTILE_CELLS: list[Any] = [
    None, "", " ", 0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 1.5, -0.0, 1e-320, 1e300, 3.5e38, float("inf"),
    float("-inf"), "nan", "NaN", "NULL", "inf", "x", "1,5", "1.000,5", "0x1F", "1e999", "١٢٣", "9" * 400, b"",
    b"\xff\x00\xfe", b"1", "a" * 5_000, "\x00", "a\x00b", "\x1b[2J", "\u202eabc", "\ufeff1", "e\u0301", "é",
    "\U0001f600", "a/b", "/", "//", "a\\b", "'", '"', "; DROP TABLE run", "<script>alert(1)</script>", "${HOME}",
    "%s", "{}", "2024-01-01", "2024-13-45", "01/02/2024", "2024-02-30", "0000-00-00", "9999-12-31", "0001-01-01",
    "-4712-01-01", "99999-01-01", "2024-01-01T25:00", "2024-01-01T00:00:00+14:00", "2024-01-01T00:00:00Z",
    "2024-03-31T02:30:00", "2024-W01", "20240101", "now", "1704067200", 1704067200, 1704067200000, -62135596800,
    253402300800, 10**18, True,
]  # fmt: skip
"""Values that a table may hold in any of its columns, on SQLite at least."""

COLUMN_NAMES = [
    "series_id", "timestamp", "value", "Value", "VALUE", "value ", "", "a b", 'a"b', "a'b", "a`b", "a;b", "a.b",
    "select", "rowid", "q0_5", "job", "ünï", "\U0001f600", "x" * 300, "%s", ":since", "?", "--", "a\nb", "a\tb",
    "recorded_at", "value_text", "store", "item",
]  # fmt: skip


@dataclass(frozen=True)
class HostileTable:
    """A table of history, some of whose cells or names are hostile.

    Attributes:
        columns: Names of the columns; those of the id, the time and the value first.
        rows: One tuple for each row.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def to_sqlite(self, path: Path, table: str = "history") -> None:
        """Write the rows into a new table of a SQLite file. Its columns have no type, so each cell stays as it is."""
        names = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in self.columns)
        connection = sqlite3.connect(path)
        try:
            connection.execute(f'CREATE TABLE "{table}" ({names})')
            marks = ", ".join("?" for _ in self.columns)
            connection.executemany(f'INSERT INTO "{table}" VALUES ({marks})', self.rows)
            connection.commit()
        finally:
            connection.close()

    def source(self, url: str, table: str = "history") -> dict[str, Any]:
        """The part `source` of a job that reads the table."""
        series_id, timestamp, value, *others = self.columns
        part: dict[str, Any] = {
            "url": url,
            "table": table,
            "series_id": series_id,
            "timestamp": timestamp,
            "value": value,
        }
        return {**part, **dict(zip(("static", "known_future"), others, strict=False))}


def mutated_table(rng: Random) -> HostileTable:
    """A small daily history of which some cells, columns or names are hostile."""
    days, ids = rng.choice([1, 5, 60]), rng.choice([["a"], ["a", "b"], ["a", "A", "a "]])
    columns = ["series_id", "timestamp", "value", "region", "promotion"][: rng.randint(3, 5)]
    begin = datetime.fromisoformat("2024-01-01")
    rows = [
        [name, (begin + timedelta(days=day)).isoformat(" "), float(day % 7), name.upper(), day % 2][: len(columns)]
        for name in ids
        for day in range(days)
    ]
    for _ in range(rng.randint(0, 4)):
        kind, column = rng.random(), rng.randrange(len(columns))
        if kind < 0.5:
            for row in rng.sample(rows, min(len(rows), rng.choice([1, 2, 20]))):
                row[column] = rng.choice(HOSTILE_CELLS)
        elif kind < 0.65:
            cell = rng.choice(HOSTILE_CELLS)
            for row in rows:
                row[column] = cell
        elif kind < 0.8:
            rng.shuffle(rows)
            rows += [[*row] for row in rows[: rng.choice([1, 10])]]
        elif kind < 0.9:
            name = rng.choice(COLUMN_NAMES)
            if name.lower() not in [each.lower() for each in columns]:
                columns[column] = name
        else:
            del rows[rng.randrange(len(rows) + 1) :]
    return HostileTable(tuple(columns), [tuple(row) for row in rows])


def mutated_text_file(rng: Random) -> bytes:
    """A CSV file of such a table, as spreadsheets and broken programs write it."""
    table = mutated_table(rng)
    delimiter = rng.choice([",", ",", ";", "\t", "|", "\x00"])
    quoted = rng.random() < 0.5
    end = rng.choice(["\n", "\r\n", "\r"])
    lines = [delimiter.join(_as_text(cell, quoted) for cell in row) for row in (table.columns, *table.rows)]
    text = end.join(lines) + rng.choice(["", end, end * 3, delimiter])
    if rng.random() < 0.3:
        text = rng.choice([_cut, _repeat, _change_bytes, _encode_anew])(text, rng)
    return text.encode("utf-8", "surrogateescape")


def _as_text(cell: Any, quoted: bool) -> str:
    text = cell.decode("utf-8", "surrogateescape") if isinstance(cell, bytes) else "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if quoted else text
