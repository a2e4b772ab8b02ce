"""When a job runs: a cron and the zone of its clock, checked by the code that starts its runs, which is Prefect's."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches

from flows.job.job import JobError
from flows.job.problems import abbreviate
from models.calendar.zones import zone_names
from models.counted import counted

ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_FIELDS = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of the month": "1 to 31, or L for the last",
    "month": "1 to 12, or jan to dec",
    "day of the week": "0 to 7, where 0 and 7 are Sunday, or mon to sun",
}
_EXAMPLE = "0 3 * * * is every day at 03:00, and 30 6 * * mon-fri every working day at 06:30."
_LONGEST = 200
# The parser takes a random or hashed time, and Prefect does not.
_RANDOM_OR_HASHED = re.compile(r"[rh](\(.*\))?(/\d+)?", re.IGNORECASE)
# Any moment does to find out whether there is a next time.
_SOME_MOMENT = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Schedule:
    """When a job runs.

    Attributes:
        cron: Five fields, or one of `ALIASES`.
        time_zone: The zone of the clock that the cron means, a name of the IANA database.
    """

    cron: str
    time_zone: str


def to_schedule(cron: str, time_zone: str) -> Schedule:
    """A schedule that has a next time.

    Raises:
        JobError: the cron cannot be read or means a day that never comes, or there is no such zone.
    """
    _check_zone(time_zone)
    schedule = Schedule(" ".join(cron.split()), time_zone)
    _check_cron(schedule.cron)
    if not next_times(schedule, _SOME_MOMENT, 1):
        raise JobError(
            f"The cron {abbreviate(schedule.cron)} never comes: no month that it names has such a day. {_EXAMPLE}"
        )
    return schedule


def next_times(schedule: Schedule, after: datetime, count: int = 3) -> list[datetime]:
    """The next times at which Prefect begins a run, in the zone of the schedule; none if there never is one."""
    # Importing Prefect takes 2 s.
    from prefect.server.schemas.schedules import CronSchedule

    dates = CronSchedule(cron=schedule.cron, timezone=schedule.time_zone).get_dates(count, start=after)
    try:
        return [datetime.fromisoformat(each.isoformat()) for each in asyncio.run(dates)]
    except ValueError as error:
        # Prefect has its own copy of the parser, whose errors are no public names.
        if type(error).__name__ == "CroniterBadDateError":
            return []
        raise


def _check_cron(cron: str) -> None:
    shown, fields = abbreviate(cron), cron.split()
    if cron.startswith("@"):
        if cron not in ALIASES:
            raise JobError(f"There is no alias {shown} of a cron; there are {', '.join(ALIASES)}.")
        return
    if len(cron) > _LONGEST:
        raise JobError(f"The cron {shown} has {len(cron):,} characters; the longest that is read has {_LONGEST}.")
    if len(fields) != len(_FIELDS):
        seconds = ", and seconds cannot be said" if len(fields) > len(_FIELDS) else ""
        raise JobError(
            f"The cron {shown} has {counted(len(fields), 'field')} and needs five: {', '.join(_FIELDS)}{seconds}. "
            f"{_EXAMPLE}"
        )
    for place, (name, known) in enumerate(_FIELDS.items()):
        if not _is_readable(fields[place], place):
            raise JobError(
                f"The cron {shown} has the {name} {abbreviate(fields[place])}, which cannot be read. Write {known}; "
                f"several as 1,3 or 1-5; * for every one. {_EXAMPLE}"
            )


def _is_readable(field: str, place: int) -> bool:
    from prefect.server.schemas.schedules import CronSchedule

    if _RANDOM_OR_HASHED.fullmatch(field):
        return False
    alone = ["*"] * len(_FIELDS)
    alone[place] = field
    try:
        CronSchedule(cron=" ".join(alone), timezone="UTC")
    except ValueError:
        return False
    return True


def _check_zone(time_zone: str) -> None:
    if time_zone in zone_names():
        return
    raise JobError(f"There is no time zone {abbreviate(time_zone)}. {_near(time_zone)}")


def _near(time_zone: str) -> str:
    """The zones that somebody may have meant, or how zones are written."""
    wanted = re.sub(r"[\s_]+", "_", time_zone.strip().casefold())[:_LONGEST]
    by_place = dict[str, str]()
    # Many zones have old names too; those of continents go first.
    for name in sorted(zone_names(), key=lambda name: ("/" in name, name)):
        by_place |= {name.casefold(): name, name.rpartition("/")[2].casefold(): name}
    if wanted in by_place:
        return f"Did you mean {by_place[wanted]}?"
    found = [by_place[each] for each in get_close_matches(wanted, by_place, n=3, cutoff=0.7)]
    if not found:
        return "Write a name of the IANA database, such as Europe/Madrid or UTC."
    return f"Did you mean {' or '.join(dict.fromkeys(found))}?"
