"""Writes the job file of a proposal, with comments for somebody who sees a job file for the first time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import yaml

from tasks.guide.proposal import Proposal
from tasks.printing.safe import safe_line

_PLAIN = re.compile(r"[A-Za-z_](?:[\w./-]|:/)*")
_COMMENT_AT, _WIDTH = 34, 96
_MOST_LEFT_OUT = 20


class Source(NamedTuple):
    """Where the job reads its history: the URL as the job file has it, and a table or a query."""

    url: str
    table: str | None = None
    query: str | None = None


def job_text(name: str, source: Source, proposal: Proposal) -> str:
    """The text of a job file.

    Args:
        name: The job's name.
        source: Where its history is.
        proposal: What the columns mean, and the grid.
    """
    columns = proposal.columns
    series_id = columns.series_id or ["series_id"]
    lines = [
        f"# Made by `nightcast init` from {safe_line(proposal.where)}.",
        "# docs/job-file.md explains every key. Relative paths start at the folder of this file.",
        "#",
        f"#   nightcast check {name}      reads the whole source and changes nothing",
        f"#   nightcast run {name}        one night",
        "",
        _line("name", name, "part of every row, file and alert of this job"),
        "",
        "source:                            # only read, never written",
        _line("  url", source.url),
    ]
    if source.query is not None:
        lines += ["  # There is a single series, without a column of its id: the query gives it one."]
        lines.append(_line("  query", source.query))
    else:
        lines.append(_line("  table", source.table or "", "one row for each series and time"))
    lines += [
        *_open(proposal, "source", "source.series_id"),
        _line("  series_id", series_id, "what identifies a series"),
        *_open(proposal, "source.timestamp", "source.recorded_at"),
        _line("  timestamp", columns.timestamp),
        *_open(proposal, "source.value"),
        _line("  value", columns.value, 'NULL is "not observed", never zero'),
        *_covariates(proposal),
        "",
        "forecast:",
        *_open(proposal, "forecast.frequency"),
        _line("  frequency", proposal.frequency, "a pandas offset alias: h, D, W-SUN, MS, ..."),
    ]
    if proposal.origin is not None:
        lines.append(_line("  origin", proposal.origin, "one step of the grid, in local time"))
    seasons = ", ".join(map(str, proposal.seasons))
    lines += [
        *_open(proposal, "forecast.horizon"),
        _line("  horizon", proposal.horizon, "steps ahead"),
        *_open(proposal, "forecast.time_zone"),
        _line("  time_zone", proposal.time_zone, "of the days, and of times without a zone"),
        f"  # season_lengths: [{seasons}]".ljust(_COMMENT_AT) + " # in steps; this is what the frequency gives",
    ]
    if proposal.lower_bound is not None:
        lines.append(_line("  lower_bound", 0, "no value is below 0, and so no forecast"))
    lines += [
        "",
        "output:                            # all of these are the defaults",
        _line("  url", "sqlite:///forecasts.db", "tables: forecast, score, loss, alert, model, run"),
        _line("  parquet", "forecasts/", "a local folder, s3://, gs:// or az://"),
        _line("  versions", "versions/", "model versions, never changed once written"),
        _line("  report", "reports/", "one HTML page per night"),
    ]
    return "\n".join(lines) + "\n"


def _covariates(proposal: Proposal) -> Iterator[str]:
    columns = proposal.columns
    yield from _open(proposal, "source.static")
    for key, names, comment in (
        ("static", columns.static, "one category per series"),
        ("static_numbers", columns.static_numbers, "one number per series"),
        ("known_future", columns.known_future, "known over the horizon: rows to come have no value"),
        ("observed_past", columns.observed_past, "known up to the cutoff only"),
    ):
        if key in ("known_future", "observed_past"):
            yield from _open(proposal, f"source.{key}")
        if names:
            yield _line(f"  {key}", names, comment)
    if columns.left_out:
        yield "  # Not used:"
        for name, why in [*columns.left_out.items()][:_MOST_LEFT_OUT]:
            yield f"  #   {safe_line(name)}: {why}"
        if (more := len(columns.left_out) - _MOST_LEFT_OUT) > 0:
            yield f"  #   and {more} more"


def _open(proposal: Proposal, *keys: str) -> Iterator[str]:
    """What is open about some keys, as comments above them."""
    for doubt in proposal.columns.doubts:
        if doubt.key in keys:
            yield from _wrapped(f"Not sure: {safe_line(doubt.why)}.")


def _wrapped(text: str) -> Iterator[str]:
    line = "  #"
    for word in text.split(" "):
        if len(line) + len(word) >= _WIDTH and line != "  #":
            yield line
            line = "  #"
        line += f" {word}"
    yield line


def _line(key: str, value: str | int | Iterable[str], comment: str = "") -> str:
    if isinstance(value, str):
        shown = scalar(value)
    elif isinstance(value, int):
        shown = str(value)
    else:
        names = list(value)
        shown = scalar(names[0]) if len(names) == 1 else f"[{', '.join(map(scalar, names))}]"
    line = f"{key}: {shown}"
    return f"{line.ljust(_COMMENT_AT)} # {comment}" if comment else line


def scalar(text: str) -> str:
    """Text as one YAML value, in quotes where YAML would read anything else.

    >>> scalar("units"), scalar("no"), scalar("a: b")
    ('units', '"no"', '"a: b"')
    """
    if _PLAIN.fullmatch(text) and yaml.safe_load(text) == text:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
