"""The file of the schedules: whatever changes in it, comments and other jobs stay."""

from __future__ import annotations

import os
import stat

import pytest

from flows.job.cron import Schedule
from flows.job.job import JobError, jobs_by_name
from flows.job.schedules import read_schedules, set_schedule

NIGHT, NOON = Schedule("0 3 * * *", "Europe/Madrid"), Schedule("*/30 12 * * mon-fri", "UTC")
BY_HAND = """\
# The shops close at ten.
sales:
  cron: "0 3 * * *"   # after the import
  time_zone: Europe/Madrid
  # nothing else

# Weather
"007": {cron: 0 5 * * *, time_zone: UTC}  # early
"""


@pytest.fixture(autouse=True)
def jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("NIGHTCAST_JOBS", str(tmp_path))
    return tmp_path


def test_a_schedule_is_set_changed_and_removed(jobs):
    assert read_schedules() == {}
    assert set_schedule("sales", NIGHT) is None
    assert set_schedule("on", NOON) is None
    assert set_schedule("sales", NOON) == NIGHT
    assert read_schedules() == {"sales": NOON, "on": NOON}
    assert set_schedule("sales", None) == NOON
    assert set_schedule("sales", None) is None
    assert read_schedules() == {"on": NOON}
    assert [file.name for file in jobs.iterdir()] == ["schedules.yaml"]


def test_the_file_is_no_job(jobs):
    set_schedule("sales", NIGHT)
    (jobs / "sales.yaml").touch()
    assert [*jobs_by_name()] == ["sales"]


def test_comments_and_other_jobs_stay_as_they_were_written(jobs):
    file = jobs / "schedules.yaml"
    file.write_text(BY_HAND, encoding="utf-8")
    file.chmod(0o664)
    set_schedule("sales", NOON)
    changed = 'sales: {cron: "*/30 12 * * mon-fri", time_zone: UTC}'
    before, after = BY_HAND[: BY_HAND.index("sales:")], BY_HAND[BY_HAND.index("\n  # nothing else") :]
    assert file.read_text(encoding="utf-8") == before + changed + after
    set_schedule("007", None)
    set_schedule("new", NIGHT)
    assert read_schedules() == {"sales": NOON, "new": NIGHT}
    assert "# Weather\nnew: {" in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


@pytest.mark.parametrize("written", ["{sales: {cron: '0 3 * * *', time_zone: UTC}}", "{}", "# nothing", "null"])
def test_a_file_in_another_style_keeps_its_schedules(jobs, written):
    (jobs / "schedules.yaml").write_text(written, encoding="utf-8")
    before = read_schedules()
    set_schedule("new", NIGHT)
    assert read_schedules() == before | {"new": NIGHT}
    set_schedule("new", None)
    assert read_schedules() == before


def test_a_link_stays_a_link(jobs, tmp_path_factory):
    real = tmp_path_factory.mktemp("elsewhere") / "schedules.yaml"
    real.touch()
    (jobs / "schedules.yaml").symlink_to(real)
    set_schedule("sales", NIGHT)
    assert (jobs / "schedules.yaml").is_symlink()
    assert "sales: {cron" in real.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("sales: {cron: '0 3 * * *', time_zone: UTC", "line 1, column 42: not YAML"),
        ("sales: {cron: */5 * * * *, time_zone: UTC}", "line 1, column 16: not YAML"),
        ("- sales", r"holds no mapping, but \['sales'\]\. Write a line for each job: daily-sales: {cron"),
        ("sales: 0 3 * * *", r"'sales': found '0 3 \* \* \*'\. Write daily-sales"),
        ("sales: {crn: 0 3 * * *, time_zone: UTC}", "'sales': unknown key 'crn'; did you mean 'cron'"),
        ("sales: {cron: 0 3 * * *}", "'sales': time_zone is missing"),
        ("sales: {cron: 3, time_zone: UTC}", "'sales': cron is 3. Write text in quotes"),
        ("sales: {cron: 0 3 31 2 *, time_zone: UTC}", "'sales': The cron '0 3 31 2 .' never comes"),
        ("sales: {cron: 0 3 * * *, time_zone: Mars}", "'sales': There is no time zone 'Mars'"),
        ("7: {cron: 0 3 * * *, time_zone: UTC}", "schedules.yaml, 7: found"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_file_and_job_and_is_not_replaced(jobs, written, words):
    file = jobs / "schedules.yaml"
    file.write_text(written, encoding="utf-8")
    for attempt in (read_schedules, lambda: set_schedule("new", NIGHT)):
        with pytest.raises(JobError, match=words) as raised:
            attempt()
        assert str(file) in str(raised.value)
    assert file.read_text(encoding="utf-8") == written


def test_a_folder_that_is_not_there_or_takes_no_file_is_told(jobs, monkeypatch):
    monkeypatch.setenv("NIGHTCAST_JOBS", str(jobs / "none"))
    with pytest.raises(JobError, match=r"The jobs folder .*none cannot be opened: No such file"):
        set_schedule("sales", NIGHT)
    monkeypatch.setenv("NIGHTCAST_JOBS", str(jobs))
    os.mkfifo(jobs / "schedules.yaml")
    with pytest.raises(JobError, match=r"schedules.yaml is a named pipe, not a file"):
        set_schedule("sales", NIGHT)
