"""Put a job on a schedule or off it: in the file of the jobs folder, and on the server that PREFECT_API_URL names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flows.job.cron import Schedule, next_times, to_schedule
from flows.job.job import JobError, find_job, find_named_job, jobs_by_name, jobs_folder, load_job
from flows.job.schedules import read_schedules, schedules_file, set_schedule
from flows.server.apply_schedules import NoServer, OnServer, SchedulesRefused, apply_one, schedules_on

_WAITS = "It is applied when `nightcast serve` starts; one that runs for this jobs folder takes it within seconds."
_NO_LONGER = "A running `nightcast serve` of this jobs folder drops it within seconds."


@dataclass(frozen=True)
class Listed:
    """A schedule as the list shows it.

    Attributes:
        job: The job's name.
        schedule: When it runs.
        next: The next three times, in the zone of the schedule.
        state: Whether it is on or paused on the server; "job is gone" where there is no such job.
    """

    job: str
    schedule: Schedule
    next: list[datetime]
    state: str

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "job": self.job,
            "cron": self.schedule.cron,
            "time_zone": self.schedule.time_zone,
            "next": [moment.isoformat() for moment in self.next],
            "state": self.state,
        }


@dataclass(frozen=True)
class Done:
    """A schedule that was set or removed.

    Attributes:
        job: The job's name.
        schedule: When it runs now; None for never.
        before: When it ran before.
        next: The next three times.
        server: What became of it on a server, in words.
        is_applied: Whether a server has it now.
    """

    job: str
    schedule: Schedule | None
    before: Schedule | None
    server: str
    is_applied: bool
    next: list[datetime] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The result for people."""
        if self.schedule is None:
            was = "had no schedule" if self.before is None else f"is off its schedule, {_in_words(self.before)}"
            return [f"{self.job} {was}.", self.server]
        is_new = self.before not in (None, self.schedule)
        before = f" instead of {_in_words(self.before)}" if is_new and self.before else ""
        following = ", ".join(f"{moment:%a %Y-%m-%d %H:%M}" for moment in self.next)
        return [
            f"{self.job} runs at {_in_words(self.schedule)}{before}: {following}.",
            f"{schedules_file()} says so.",
            self.server,
        ]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "job": self.job,
            "cron": self.schedule and self.schedule.cron,
            "time_zone": self.schedule and self.schedule.time_zone,
            "next": [moment.isoformat() for moment in self.next],
            "before": self.before and {"cron": self.before.cron, "time_zone": self.before.time_zone},
            "file": str(schedules_file()),
            "applied": self.is_applied,
            "server": self.server,
        }


def put_on(job: str, cron: str, time_zone: str | None) -> Done:
    """Put a job on a schedule.

    Args:
        job: The name of a job of the jobs folder, or the path of its file.
        cron: Five fields, or an alias such as @daily.
        time_zone: The zone of the clock; that of the job if None.

    Raises:
        JobError: there is no such job in the jobs folder, its file cannot be used, or the schedule cannot be read.
        SchedulesRefused: the server refused it. The file has it then.
    """
    name = _name_of(job)
    loaded = load_job(find_named_job(name))
    schedule = to_schedule(cron, time_zone or loaded.job.forecast.time_zone)
    before = set_schedule(name, schedule)
    applied, words = _apply(name, schedule)
    return Done(name, schedule, before, words, applied, next_times(schedule, datetime.now(UTC)))


def put_off(job: str) -> Done:
    """Take a job off its schedule; a job that is gone too.

    Raises:
        JobError: there is neither such a job nor a schedule of it.
        SchedulesRefused: the server refused it. The file does not have it any more then.
    """
    name = job if job in read_schedules() else _name_of(job)
    before = set_schedule(name, None)
    applied, words = _apply(name, None)
    return Done(name, None, before, words, applied)


def listed_schedules(job: str | None) -> list[Listed]:
    """The schedules of the jobs folder, or that of one job, with their next times.

    Raises:
        JobError: the file cannot be read, or there is neither such a job nor a schedule of it.
    """
    found = read_schedules()
    if job is not None:
        name = job if job in found else _name_of(job)
        found = {name: found[name]} if name in found else {}
    jobs, known, now = jobs_by_name(), _known() if found else None, datetime.now(UTC)
    return [
        Listed(name, each, next_times(each, now), _state(name, each, known) if name in jobs else "job is gone")
        for name, each in found.items()
    ]


def _known() -> dict[str, OnServer] | None:
    """What the server has; None where none is named or answers."""
    try:
        return schedules_on(api) if (api := os.environ.get("PREFECT_API_URL")) else None
    except (NoServer, SchedulesRefused):
        return None


def _state(job: str, schedule: Schedule, known: dict[str, OnServer] | None) -> str:
    if known is None:
        return "in the file"
    if job not in known or known[job].schedule != schedule:
        return "not yet on the server"
    return "paused" if known[job].is_paused else "on"


def _apply(job: str, schedule: Schedule | None) -> tuple[bool, str]:
    """Apply a schedule to the server, if one is named and answers; gives whether it has it, and that in words."""
    api = os.environ.get("PREFECT_API_URL")
    waits = _NO_LONGER if schedule is None else _WAITS
    if not api:
        return False, waits
    try:
        now = apply_one(api, job, schedule)
    except NoServer as error:
        return False, f"{error}. {waits}"
    except SchedulesRefused as error:
        raise SchedulesRefused(f"{schedules_file()} is changed, and the server is not: {error}") from None
    if now is None:
        return True, f"The server at {api} does not run it any more."
    paused = " It is paused there, and stays so until somebody resumes it in the UI." if now.is_paused else ""
    return True, f"The server at {api} has it.{paused}"


def _name_of(job: str) -> str:
    """The name of a job of the jobs folder, also where its file was named.

    Raises:
        JobError: there is no such job, or it lies in another folder.
    """
    if job in jobs_by_name():
        return job
    file = find_job(job)
    for name, known in jobs_by_name().items():
        if known.resolve() == file:
            return name
    raise JobError(
        f"{file} is not in the jobs folder {jobs_folder().resolve()}, and a server runs jobs of that folder by name. "
        "Put the file there, or name its folder (--jobs, or NIGHTCAST_JOBS)."
    )


def _in_words(schedule: Schedule) -> str:
    return f"{schedule.cron} ({schedule.time_zone})"
