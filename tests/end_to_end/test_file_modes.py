"""Who may read what a job makes: its owner and group, and nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from flows.job.job import load_job
from tasks.private_files import private_files
from tasks.run.run_log import end_run


@pytest.fixture
def umask(request):
    """Lets the user have this umask."""
    before = os.umask(request.param)
    yield
    assert os.umask(before) == request.param, "The command has left another umask behind."


def modes_of(files):
    return {stat.S_IMODE(file.stat().st_mode) for file in files}


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("umask", "file_mode", "folder_mode"),
    [(0o000, 0o640, 0o750), (0o022, 0o640, 0o750), (0o077, 0o600, 0o700)],
    indirect=["umask"],
)
def test_all_that_a_command_and_its_nights_make_is_for_owner_and_group_unless_the_umask_is_stricter(
    make_job, monkeypatch, file_mode, folder_mode
):
    job = make_job(forecast={"min_history": 10_000})
    folder = job.parent
    known = {*folder.rglob("*")}
    kept_scratch: set[int] = set()

    def look_before_the_end(*arguments):
        kept_scratch.update(modes_of(path for path in folder.rglob("*") if path not in known and path.is_file()))
        return end_run(*arguments)

    monkeypatch.setattr("flows.night.night.end_run", look_before_the_end)
    rows = ["import", str(folder / "history.parquet"), "--to", f"sqlite:///{folder}/imported.db", "--table", "t"]
    for arguments in (rows, ["run", str(job), "--cutoff", "2024-02-10"], ["run", str(job), "--cutoff", "2024-02-11"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    made = {*folder.rglob("*")} - known
    names = {path.suffix for path in made}
    assert {".db", ".parquet", ".html", ".json"} <= names
    assert modes_of(path for path in made if path.is_file()) == {file_mode}
    assert modes_of(path for path in made if path.is_dir()) == {folder_mode}
    # The night's scratch, its lock, and the log of its database.
    assert kept_scratch == {file_mode}


def test_versions_are_for_owner_and_group(ran_twice):
    [version] = Path(load_job(ran_twice).places.versions, "small").iterdir()
    for path in (version, *version.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & (0o027 if path.is_dir() else 0o137) == 0


def test_a_file_of_another_job_that_gets_a_column_keeps_its_rights(make_job):
    job = make_job(forecast={"min_history": 10_000})
    assert CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-10"]).exit_code == 0
    [file] = (job.parent / "forecasts").rglob("*.parquet")
    file.chmod(0o664)
    content = yaml.safe_load(job.read_text())
    content["forecast"]["quantile_levels"] = [0.1, 0.2, 0.5, 0.9]
    job.write_text(yaml.safe_dump(content))
    result = CliRunner().invoke(main, ["run", str(job), "--cutoff", "2024-02-11"])
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


def test_the_umask_before_comes_back_after_an_error():
    before = os.umask(0o002)
    try:
        with pytest.raises(KeyError), private_files(), private_files():
            raise KeyError
        assert os.umask(0o002) == 0o002
    finally:
        os.umask(before)
