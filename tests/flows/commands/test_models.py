"""Commands that change model versions and alerts."""

from __future__ import annotations

import flows.job.job
from flows.deployments.decisions import job_to_change
from sql.migrations.migrate import migrate


def test_a_command_reads_the_job_file_once_so_that_no_edit_comes_between(tmp_path, monkeypatch):
    file = tmp_path / "sales.yaml"
    file.write_text(
        "name: sales\nsource: {url: 'sqlite:///history.db', table: sold}\nforecast: {frequency: D, horizon: 3}\n",
        encoding="utf-8",
    )
    read, load = list[str](), flows.job.job.load_job
    migrate(load(file).places.engine())

    def load_and_note(job):
        read.append(job)
        return load(job)

    monkeypatch.setattr("flows.deployments.decisions.load_job", load_and_note)
    assert job_to_change(str(file))[1].job == "sales"
    assert read == [str(file)]
