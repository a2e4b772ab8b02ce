"""Command lines that nobody should type: verbs with arguments and options of the wrong kind, drawn from a seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

import click

SKIPPED = {"serve", "demo", "doctor", "automations"}
"""Verbs that start a server, train a network or look at the whole machine."""

HOSTILE_TEXTS = [
    "", " ", "-", "--", "-1", "0", "1", "1e9", "99999999999999999999", "nan", "inf", "٣", "x", "x" * 5_000, "a b",
    "a\nb", "\x1b[31m", "\u202eabc", "\udcff", "\U0001f600", "'; DROP TABLE run; --", "%s%n", "{0}", "${HOME}",
    "../..", "/", "/dev/null", "/dev/zero", "/nonexistent/x", ".", "folder", "pipe", "link", "*", "true", "null",
    "all", "auto", "2024-01-01", "2024-13-45", "0001-01-01", "9999-12-31", "9999-12-31T23:59:59-14:00",
    "2024-01-01T00:00:00+99:99", "20240101", "2024-W01-1", "sqlite:///new.db", "sqlite://", "sqlite:////dev/null",
    "sqlite:///folder", "postgresql://h:99999999/d", "duckdb:///x.db", "s3://b", "mysql://h/d", "://", "${NOT_SET}",
    "job.yaml", "broken.yaml", "rows.csv", "source.db", ";", "\t", "\\", "%Y", "%d/%m/%Y", "value=1", "=",
    "series_id",
]  # fmt: skip


def hostile_arguments(command: click.Group, rng: Random, skipped: Collection[str] = frozenset(SKIPPED)) -> list[str]:
    """One command line: a verb that is not skipped, most of its arguments, some of its options, sometimes one too many.

    Half of the values are hostile, and half may well be meant.
    """
    line = list[str]()
    verb: click.Command = command
    while isinstance(verb, click.Group):
        names = sorted(set(verb.commands) - set(skipped))
        name = rng.choice(names)
        line.append(name)
        verb = verb.commands[name]
    for parameter in verb.params:
        is_argument = isinstance(parameter, click.Argument)
        if rng.random() < (0.95 if is_argument or parameter.required else 0.4):
            line += _given(parameter, rng, () if is_argument else parameter.opts)
    if rng.random() < 0.1:
        line.insert(rng.randrange(len(line) + 1), rng.choice([*HOSTILE_TEXTS, "--frob", "--json", "--help"]))
    return [text.replace("\0", "") for text in line]


def _given(parameter: click.Parameter, rng: Random, names: Sequence[str]) -> list[str]:
    name = [rng.choice(sorted(names))] if names else []
    if getattr(parameter, "is_flag", False):
        return name
    plausible = {
        "job": ["job.yaml", "job"], "file": ["rows.csv"], "url": ["sqlite:///new.db"], "table_name": ["t"],
        "cutoff": ["2024-01-20"], "first": ["2024-01-18"], "last": ["2024-01-20"], "version": ["v1"],
    }.get(parameter.name or "", ["1", "all"])  # fmt: skip
    if isinstance(parameter.type, click.Choice):
        plausible = [choice for choice in parameter.type.choices if choice not in ("scratch", "warm")]
    return [*name, rng.choice(plausible if rng.random() < 0.6 else HOSTILE_TEXTS)]
