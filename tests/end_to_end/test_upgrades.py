"""What a past release left, kept under `releases/`: today's code reads it, migrates it, and runs the next night on it.

`--keep-release` keeps what the code of today writes as that of this version, see CONTRIBUTING.md.
"""

from __future__ import annotations

import gzip
import re
import shutil
import socket
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from flows.deployments.dispatch import run_night
from flows.job.job import load_job
from flows.night.report import report_on
from sql.engine.connection import connect, resolve_url
from sql.output import history

ROOT = Path(__file__).parents[2]
RELEASES = Path(__file__).parent / "releases"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
# Where the job of a kept release lay, in its texts.
PLACE = "/srv/nightcast"
NIGHTS = ("2024-02-03", "2024-02-10")
KEPT = sorted({VERSION, *(folder.name for folder in RELEASES.glob("*"))}, key=lambda name: name.split("."))


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of the output in the job file; it names a variable where the database is a server's."""
    if kind == "postgresql":
        monkeypatch.setenv("UPGRADED", request.getfixturevalue("postgres_url"))
        return "${UPGRADED}"
    return "sqlite:///forecasts.db"


@pytest.fixture
def keep(request, kind, url, make_job_in, tmp_path, dump) -> None:
    """Where `--keep-release` is given, run two nights and keep what they leave."""
    if not request.config.getoption("--keep-release"):
        return
    assert f"## {VERSION}, not yet released" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), "It is released."
    made, kept = tmp_path / "made", RELEASES / VERSION / kind
    job = make_job_in(made, output={"url": url})
    for cutoff in NIGHTS:
        run_night(job, cutoff=cutoff)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)

    def moved(text: str) -> str:
        text = text.replace(str(made), PLACE).replace(socket.gethostname(), "night")
        # The address of a database names its folder, or a server that was there for the test alone.
        return re.sub(r"postgresql[+\w]*://[^\s'\"]*", "postgresql://database/forecasts", text)

    places = load_job(job).places
    databases = {"output": places.engine(), "source": connect(resolve_url("sqlite:///source.db", made))}
    for name, engine in databases.items():
        (kept / f"{name}.sql.gz").write_bytes(gzip.compress(moved(dump(engine)).encode(), mtime=0))
    if kind == "postgresql":
        with databases["output"].begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
    for file in (job, *sorted(places.report.glob("*.json"))):
        (kept / file.name).write_text(moved(file.read_text(encoding="utf-8")), encoding="utf-8")
    for folder in ("forecasts", "versions"):
        shutil.copytree(made / folder, kept / folder)
        assert not [
            file for file in (kept / folder).rglob("*") if file.is_file() and str(made).encode() in file.read_bytes()
        ]


@pytest.mark.parametrize("version", KEPT)
@pytest.mark.usefixtures("keep")
def test_the_next_night_runs_on_what_a_release_left(
    version: str, kind: str, url: str, tmp_path: Path, load_dump: Callable[[sa.Engine, str], None]
) -> None:
    kept, folder = RELEASES / version / kind, tmp_path / "upgraded"
    folder.mkdir()
    job = folder / "small.yaml"
    shutil.copytree(kept / "forecasts", folder / "forecasts")
    shutil.copytree(kept / "versions", folder / "versions")
    (folder / "reports" / "small").mkdir(parents=True)
    for file in kept.glob("*.json"):
        shutil.copy(file, folder / "reports" / "small")
    shutil.copy(kept / job.name, job)
    for name, address in (("source", "sqlite:///source.db"), ("output", url)):
        text = gzip.decompress((kept / f"{name}.sql.gz").read_bytes()).decode().replace(PLACE, str(folder))
        load_dump(connect(resolve_url(address, folder)), text)
    loaded = load_job(job)
    engine = loaded.places.engine()
    before = history.forecast_of(engine, "small", datetime(2024, 2, 10, tzinfo=UTC)).to_pandas()
    assert len(before) == 49

    night = run_night(job, cutoff="2024-02-11", train="never")

    assert (night.state, night.train_mode, night.rows) == ("completed", "load", 49)
    after = history.forecast_of(engine, "small", datetime(2024, 2, 11, tzinfo=UTC)).to_pandas()
    assert after.groupby("source").size().to_dict() == {"model": 42, "fallback": 7}
    assert {row["cutoff"].day for row in history.publications(engine, "small")} == {3, 10, 11}
    # The nights of the release are as they were, and their actuals were evaluated.
    again = history.forecast_of(engine, "small", datetime(2024, 2, 10, tzinfo=UTC)).to_pandas()
    pd.testing.assert_frame_equal(again[before.columns], before)
    files = pd.read_parquet(folder / "forecasts").groupby("cutoff", observed=True).size()
    assert files.to_list() == [49, 49, 49]
    assert [row["step"] for row in history.scores(engine, "small", datetime(2024, 2, 10, tzinfo=UTC), "all", "mae")]
    page = report_on(loaded, datetime(2024, 2, 10, tzinfo=UTC)).night
    assert "2024-02-10" in page.read_text(encoding="utf-8")


def test_what_is_kept_is_small_and_names_no_machine() -> None:
    files = [file for file in RELEASES.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 400_000 * len(KEPT)
    for file in files:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        assert not re.search(rb"/tmp/|pytest|/root/", content), file
