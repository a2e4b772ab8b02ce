"""A reader who looks at the published nights all the time: `python -m benchmarks.faults.watcher`.

It is told in lines of JSON: `{"watch": {...}}` begins; the next line ends it, and is answered by how often it looked
and which half nights it saw. A look reads the view `latest_forecast` in one statement, and each Parquet file that has
changed.
"""

from __future__ import annotations

import json
import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.shared.command import ROOT

_PAUSE_SECONDS = 0.01
# Without a buffer, so that a line that nobody has read yet shows in `select`.
_ORDERS = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115
_LATEST = "SELECT COUNT(*), COUNT(DISTINCT cutoff), COUNT(DISTINCT run_id) FROM latest_forecast"


@dataclass
class Seen:
    """What a reader saw.

    Attributes:
        looks: How often it read the view.
        files: How often it read a Parquet file that had changed.
        half: Half nights, in words, at most ten.
    """

    looks: int = 0
    files: int = 0
    half: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Note a half night."""
        if len(self.half) < 10:
            self.half.append(what)


class Watcher:
    """The reader as the campaign sees it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.faults.watcher"]
        pipe = subprocess.PIPE
        # Ctrl-C is for the campaign.
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, start_new_session=True)

    def begin(self, database: str, address: str, folder: Path, rows: int) -> None:
        """Watch a database and the folder of its Parquet files, whose nights have so many rows each."""
        self._tell({"watch": {"database": database, "address": address, "folder": str(folder), "rows": rows}})

    def end(self) -> Seen:
        """End watching; what was seen."""
        self._tell({})
        assert self._process.stdout
        return Seen(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        # Leaving it closes the pipes, which ends the process, and waits.
        with self._process:
            pass

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()


def watch(database: str, address: str, folder: str, rows: int) -> Seen:
    """Look until there is a line on standard input, and once more then."""
    seen, known = Seen(), dict[str, tuple[int, int, int]]()
    with _latest(database, address) as latest:
        told, pause = False, _PAUSE_SECONDS
        while not told:
            told = bool(select.select([_ORDERS], [], [], pause)[0])
            began = time.monotonic()
            found = latest()
            if found is not None:
                seen.looks += 1
                if found not in ((rows, 1, 1), (0, 0, 0)):
                    seen.note("latest_forecast: {} rows of {} nights and {} runs".format(*found))
            _look_at_files(Path(folder), known, rows, seen)
            # A reader must not take the time of the nights that it watches.
            pause = max(_PAUSE_SECONDS, 3 * (time.monotonic() - began))
    return seen


def _look_at_files(folder: Path, known: dict[str, tuple[int, int, int]], rows: int, seen: Seen) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in folder.glob("job=*/cutoff=*/*.parquet"):
        with suppress(FileNotFoundError):
            state = file.stat()
            mark = state.st_ino, state.st_mtime_ns, state.st_size
            if known.get(str(file)) == mark:
                continue
            known[str(file)] = mark
            seen.files += 1
            try:
                runs = pq.ParquetFile(file).read(["run_id"])["run_id"]
            except FileNotFoundError:
                continue
            except (pa.ArrowException, OSError, KeyError) as error:
                seen.note(f"{file.parent.name}/{file.name} cannot be read: {error}")
                continue
            if (len(runs), len(runs.unique())) != (rows, 1):
                seen.note(f"{file.parent.name}/{file.name}: {len(runs)} rows of {len(runs.unique())} runs")


class _latest:
    """Reads the view; None where the database does not answer just now."""

    def __init__(self, database: str, address: str) -> None:
        self._open: Callable[[], Any] = lambda: sqlite3.connect(f"file:{address}?mode=ro", uri=True, timeout=0.5)
        if database == "postgresql":
            import psycopg

            self._open = lambda: psycopg.connect(address, autocommit=True, connect_timeout=2)
        self._connection: Any = None

    def __enter__(self) -> Callable[[], tuple[int, ...] | None]:
        return self._look

    def __exit__(self, *_: object) -> None:
        self._close()

    def _look(self) -> tuple[int, ...] | None:
        try:
            if self._connection is None:
                self._connection = self._open()
            return tuple(self._connection.execute(_LATEST).fetchone())
        except Exception:
            # The database is away or locked; the next look opens it again.
            self._close()
            time.sleep(0.02)
            return None

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None


def main() -> None:
    """Obey the lines on standard input."""
    while line := _ORDERS.readline():
        order = json.loads(line).get("watch")
        if order is None:
            continue
        seen = watch(**order)
        _ORDERS.readline()
        print(json.dumps(vars(seen)), flush=True)


if __name__ == "__main__":
    main()
