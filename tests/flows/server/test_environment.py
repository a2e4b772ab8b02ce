"""What the server and its workers see, wherever `serve` is started."""

from __future__ import annotations

from pathlib import Path

import pytest

import flows
from flows.server.environment import PrefectHomeError, server_environment


def test_runs_find_the_jobs_of_the_folder_and_none_of_its_modules(tmp_path, monkeypatch):
    (tmp_path / "jobs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NIGHTCAST_JOBS", raising=False)
    monkeypatch.setenv("PREFECT_HOME", "prefect")
    found = server_environment("http://127.0.0.1:1/api", "http://127.0.0.1:2")
    assert (found["PREFECT_API_URL"], found["PWD"]) == ("http://127.0.0.1:1/api", str(Path(flows.__file__).parents[1]))
    assert (found["PREFECT_HOME"], found["NIGHTCAST_JOBS"]) == (str(tmp_path / "prefect"), str(tmp_path / "jobs"))
    assert [*(tmp_path / "prefect").iterdir()] == []


def test_a_folder_of_prefect_that_cannot_be_written_is_told_before_a_server_starts(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "prefect"))
    with pytest.raises(PrefectHomeError, match=r"prefect, cannot be written: Not a directory. Set PREFECT_HOME to a"):
        server_environment("http://127.0.0.1:1/api", "http://127.0.0.1:2")
