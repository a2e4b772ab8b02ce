"""Whatever somebody hands in, a command ends in one of three ways: done, bad input (2), or failed work (1).

Bad input is told in one message with what, where and a remedy, and leaves nothing behind. An unexpected error, a
traceback, a hang and memory beyond a bound are never an answer. `NIGHTCAST_FUZZ=5000` draws so many inputs of each kind
instead of a few, and other ones each time; a failure names its seed.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from benchmarks.shared.hostile_arguments import SKIPPED, hostile_arguments
from benchmarks.shared.mutations import mutated_job_file, mutated_table, mutated_text_file
from flows.cli import main
from flows.job.job import JobError, load_job

MANY = int(os.environ.get("NIGHTCAST_FUZZ", "0"))
SEEDS = st.integers(0, 2**32 - 1)
HANG_SECONDS = 300
MOST_MEGABYTES = 600
LONGEST_ANSWER = 20_000
GOOD_JOB = """
name: fuzzed
source: {url: "sqlite:///source.db", table: history}
forecast: {frequency: D, horizon: 3, min_history: 1000}
"""


def drawn(few: int) -> Callable[[Any], Any]:
    """Draw so many seeds, always the same ones, or as many other ones as NIGHTCAST_FUZZ says."""
    # A seed says nothing about the size of what it draws, so a smaller one is no simpler example.
    ours = settings(
        max_examples=MANY or few,
        derandomize=not MANY,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    return lambda test: ours(given(seed=SEEDS)(test))


class Hangs(BaseException):
    """No code takes it for an error of its own."""


@contextmanager
def watched() -> Iterator[None]:
    """End what hangs, and refuse what takes much memory."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hangs(f"not done after {HANG_SECONDS} s")

    before, peak = signal.signal(signal.SIGALRM, stop), _peak_megabytes()
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert _peak_megabytes() - peak < MOST_MEGABYTES


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answer_to(*arguments: str) -> Result:
    """The answer to a command, which is one of those that are allowed."""
    with watched():
        result = CliRunner().invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), arguments
    assert result.exit_code in (0, 1, 2)
    assert "(unexpected" not in result.output
    assert "Traceback" not in result.output
    assert len(result.output) < LONGEST_ANSWER
    if result.exit_code == 2 and arguments[0] != "check":
        assert "Error: " in result.output
    if "--json" in arguments and "--" not in arguments and "--help" not in arguments and "-h" not in arguments:
        json.loads(result.stdout)
    return result


def contents(folder: Path) -> set[tuple[str, int]]:
    """Every file of a folder, with its size."""
    return {(str(path), path.lstat().st_size) for path in folder.rglob("*") if not path.is_dir()}


def assert_no_night_is_half_written(folder: Path, result: Result) -> None:
    database = folder / "forecasts.db"
    if database.exists():
        with closing(sqlite3.connect(database)) as connection:
            states = [state for (state,) in connection.execute("SELECT state FROM run")]
            rows = connection.execute("SELECT count(*) FROM forecast").fetchone()[0]
        assert "running" not in states
        assert rows == 0 or "completed" in states or result.exit_code == 0


@drawn(250)
def test_a_mutated_job_file_is_a_job_or_refused_with_its_name(seed):
    with TemporaryDirectory() as folder:
        file = Path(folder) / "job.yaml"
        file.write_text(mutated_job_file(Random(seed)), encoding="utf-8", errors="surrogateescape")
        try:
            with watched():
                loaded = load_job(file)
                _ = loaded.places, loaded.job.forecast.grid
        except JobError as error:
            told = str(error)
            assert told.startswith(str(file))
            assert len(told) < LONGEST_ANSWER
            assert "unexpected" not in told


@drawn(60)
def test_a_mutated_table_is_audited_or_refused(seed):
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = mutated_table(Random(seed))
        table.to_sqlite(folder / "source.db")
        job = {
            "name": "fuzzed",
            "source": table.source("sqlite:///source.db"),
            "forecast": {"frequency": "D", "horizon": 3},
        }
        (folder / "job.yaml").write_text(yaml.safe_dump(job, allow_unicode=True), encoding="utf-8")
        before = contents(folder)
        result = answer_to("check", str(folder / "job.yaml"), "--json")
        assert contents(folder) == before
        found = json.loads(result.stdout)
        assert found.get("ok", False) == (result.exit_code == 0)


@drawn(8)
def test_a_night_on_a_mutated_table_is_whole_or_not_there(seed):
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = mutated_table(Random(seed))
        table.to_sqlite(folder / "source.db")
        # No series has so many values: the fallback forecasts them all, and nothing trains.
        forecast = {"frequency": "D", "horizon": 3, "min_history": 100_000}
        job = {"name": "fuzzed", "source": table.source("sqlite:///source.db"), "forecast": forecast}
        (folder / "job.yaml").write_text(yaml.safe_dump(job, allow_unicode=True), encoding="utf-8")
        assert_no_night_is_half_written(folder, answer_to("run", str(folder / "job.yaml")))


@drawn(60)
def test_a_mutated_file_is_imported_whole_or_refused(seed):
    with TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "rows.csv"
        file.write_bytes(mutated_text_file(Random(seed)))
        result = answer_to("import", str(file), "--to", f"sqlite:///{folder}/new.db", "--table", "t", "--json")
        if result.exit_code == 0:
            with closing(sqlite3.connect(folder / "new.db")) as connection:
                rows = connection.execute("SELECT count(*) FROM t").fetchone()[0]
            assert rows == json.loads(result.stdout)["rows"]
        elif (folder / "new.db").exists():
            with closing(sqlite3.connect(folder / "new.db")) as connection:
                assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0


@drawn(40)
def test_a_mutated_parquet_file_is_imported_whole_or_refused(seed):
    with TemporaryDirectory() as name:
        file, rng = Path(name) / "rows.parquet", Random(seed)
        table = mutated_table(rng)
        columns = [[*column] for column in zip(*table.rows, strict=True)] or [[] for _ in table.columns]
        pq.write_table(pa.table([_array(column) for column in columns], names=[*table.columns]), file)
        if rng.random() < 0.3:
            written = bytearray(file.read_bytes())
            for _ in range(3):
                written[rng.randrange(len(written))] = rng.randrange(256)
            file.write_bytes(written[: rng.choice([len(written), len(written) // 2, 3])])
        answer_to("import", str(file), "--to", f"sqlite:///{name}/new.db", "--table", "t", "--json")


def _array(values: list[Any]) -> pa.Array:
    """Values as Arrow has them: of one type if they are, else as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values])


@pytest.fixture
def folder_to_work_in(tmp_path, monkeypatch) -> Path:
    """A job, a source and what is no file, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTCAST_JOBS", ".")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with closing(sqlite3.connect("source.db")) as connection, connection:
        connection.execute("CREATE TABLE history (series_id, timestamp, value)")
        rows = [("a", f"2024-01-{day:02}", float(day)) for day in range(15, 25)]
        connection.executemany("INSERT INTO history VALUES (?, ?, ?)", rows)
    Path("job.yaml").write_text(GOOD_JOB)
    Path("broken.yaml").write_text("a: [\n")
    Path("rows.csv").write_text("series_id,timestamp,value\na,2024-01-01,1\n")
    Path("folder").mkdir()
    os.mkfifo("pipe")
    Path("link").symlink_to("nowhere")
    return tmp_path


# A backtest trains a network, so only a campaign draws it.
@drawn(100)
def test_a_hostile_command_line_is_obeyed_or_refused_and_leaves_nothing(folder_to_work_in, seed):
    arguments = hostile_arguments(main, Random(seed), SKIPPED if MANY else SKIPPED | {"backtest"})
    before = contents(folder_to_work_in)
    result = answer_to(*arguments)
    if result.exit_code == 2:
        assert contents(folder_to_work_in) == before
    assert_no_night_is_half_written(folder_to_work_in, result)


def test_the_same_seed_draws_the_same_input():
    for draw in (mutated_job_file, mutated_text_file, lambda rng: repr(mutated_table(rng))):
        assert [draw(Random(seed)) for seed in range(20)] == [draw(Random(seed)) for seed in range(20)]
    assert hostile_arguments(main, Random(5)) == hostile_arguments(main, Random(5))
