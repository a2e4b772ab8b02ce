"""Job files and tables as nobody should write them, by the hundred: each ends as done, bad input or failed work."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import yaml

from benchmarks.faults.trial import Trial
from benchmarks.shared.mutations import mutated_job_file, mutated_table

BATCH = 50
"""Inputs of one trial."""
_SECONDS = 20
"""Of the processor, since the machine may have other work; `_PATIENCE` times as many where nothing is computed."""
_PATIENCE = 5
_BYTES = 6 << 30
_OUTCOMES = {0: "done", 1: "failed work", 2: "bad input"}
_SURPRISE = re.compile(r"\(unexpected;|Traceback \(most recent call last\)")


def mutated_job_files(trial: Trial) -> None:
    """`check` of mutated job files."""
    _batch(trial, "job_file")


def mutated_tables(trial: Trial) -> None:
    """`check` of mutated tables, and every fifth time the whole night."""
    _batch(trial, "table")


def _batch(trial: Trial, kind: str) -> None:
    folder, number = trial.workshop.empty_folder(), trial.seed
    order = {
        "call": "benchmarks.faults.kinds.mutated:try_batch",
        "arguments": [kind, number],
        "environment": {
            "PATH": os.environ.get("PATH", ""),
            "TMPDIR": str(folder),
            "HOOK": "http://127.0.0.1:9/",
            "MAIL": "json://127.0.0.1:9",
        },
        "folder": str(folder),
    }
    try:
        night = trial.workshop.zygote.start(order, folder / "said")
        code = night.wait(_PATIENCE * _SECONDS * BATCH)
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        if code:
            results.append(["unexpected", f"the process ended with {code}", len(results)])
        for outcome, why, which in results:
            trial.inputs[outcome] += 1
            trial.findings.add("unexpected", int(outcome == "unexpected"), f"{kind} {which} of {number}: {why}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _TooLong(BaseException):
    pass


def try_batch(kind: str, number: int) -> None:
    """Try one batch in this process, which must be a fork; writes the outcomes into `results.json` after each."""
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))

    def too_long(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGPROF, too_long)
    results: list[tuple[str, str, int]] = []
    for which in range(BATCH):
        folder = Path(f"job{which}")
        folder.mkdir()
        arguments = _WRITERS[kind](folder, Random(f"{kind} {number} {which}"))
        results.append((*_outcome(arguments), which))
        shutil.rmtree(folder, ignore_errors=True)
        Path("results.json").write_text(json.dumps(results), encoding="utf-8")


def _outcome(arguments: list[str]) -> tuple[str, str]:
    """How the command ends, and why that is unexpected; "" where it is not."""
    from flows.cli import main

    began = time.process_time()
    code: Any = 0
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    signal.alarm(_PATIENCE * _SECONDS)
    try:
        main(arguments)
    except SystemExit as end:
        code = end.code
    except _TooLong:
        return "unexpected", f"took more than {_SECONDS} s, or did nothing for {_PATIENCE * _SECONDS} s"
    except BaseException as error:
        return "unexpected", f"{type(error).__name__}: {error}"[:300]
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    text = "".join(Path("said", name).read_text(encoding="utf-8", errors="replace") for name in ("stdout", "stderr"))
    for name in ("stdout", "stderr"):
        os.truncate(f"said/{name}", 0)
    if match := _SURPRISE.search(text):
        return "unexpected", text[max(0, match.start() - 300) : match.end() + 200]
    seconds = time.process_time() - began
    if seconds > _SECONDS / 2:
        return "unexpected", f"took {seconds:.0f} s"
    return _OUTCOMES.get(code, "unexpected"), f"exit code {code}"


def _write_job_file(folder: Path, random: Random) -> list[str]:
    file = folder / "fuzzed.yaml"
    file.write_text(mutated_job_file(random), encoding="utf-8", errors="surrogateescape")
    with sqlite3.connect(folder / "source.db") as source:
        source.execute("CREATE TABLE history (store, item, sold_at, units, area, promotion, visitors, loaded_at)")
        source.execute("CREATE TABLE weather (sold_at, warmth, issued_at)")
        for day in range(1, 20):
            row = ("a", "b", f"2024-01-{day:02d}", day % 7, 3.0, 0, 5, f"2024-01-{day:02d}")
            source.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    source.close()
    return ["check", str(file)]


def _write_table(folder: Path, random: Random) -> list[str]:
    table = mutated_table(random)
    table.to_sqlite(folder / "source.db")
    forecast = {"frequency": "D", "horizon": 3, "min_history": 10_000, "quantile_levels": [0.1, 0.5, 0.9]}
    job = {"name": "fuzzed", "source": table.source("sqlite:///source.db"), "forecast": forecast}
    file = folder / "fuzzed.yaml"
    file.write_text(yaml.safe_dump(job, allow_unicode=True), encoding="utf-8")
    return ["run" if random.random() < 0.2 else "check", str(file)]


_WRITERS: dict[str, Callable[[Path, Random], list[str]]] = {"job_file": _write_job_file, "table": _write_table}
