"""Apply the schedules of the jobs folder to a Prefect server: `python -m flows.server.apply_schedules`.

Each schedule is one of the deployment `nightly`, with the job's name as its slug. Whatever else a person added to that
deployment stays, and so does the pause of a schedule.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from flows.job.cron import Schedule
from flows.job.job import jobs_by_name, jobs_folder
from flows.job.schedules import read_schedules, schedules_file
from flows.server.prefect_file import prefect_file, scheduled_jobs
from tasks.prefect_ui import TAG

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

NIGHTLY = "nightly"
_ALL = "/deployments/filter"
_ONE = "/deployments/{id}"
_SCHEDULES = "/deployments/{id}/schedules"
_SCHEDULE = "/deployments/{id}/schedules/{schedule_id}"


class NoServer(Exception):
    """No Prefect server answers at the address."""


class SchedulesRefused(Exception):
    """The server has no deployment to put on a schedule, or refused; the message says what to do."""


@dataclass(frozen=True)
class OnServer:
    """The schedule of a job as a server has it.

    Attributes:
        schedule: When the job runs.
        is_paused: Whether somebody paused the schedule or its deployment.
    """

    schedule: Schedule
    is_paused: bool


def schedules_on(api: str) -> dict[str, OnServer]:
    """The schedules that a server has, by the names of their jobs.

    Raises:
        NoServer: it does not answer.
        SchedulesRefused: it has no deployment `nightly`, or refuses.
    """
    with _client(api) as client:
        nightly = _nightly(client, api)
        found = _ours(nightly).items()
        return {job: OnServer(_schedule(each), nightly["paused"] or not each["active"]) for job, each in found}


def apply_one(api: str, job: str, schedule: Schedule | None) -> OnServer | None:
    """Put one job on its schedule on a server, or off it with None. Other jobs stay as they are there.

    Raises:
        NoServer, SchedulesRefused: as `schedules_on`.
    """
    with _client(api) as client:
        if schedule is not None:
            _list_jobs(client, {job}, drop=False)
        nightly = _nightly(client, api)
        known = _ours(nightly).get(job)
        if schedule is None:
            if known is not None:
                _request(client, "DELETE", _SCHEDULE, (nightly["id"], known["id"]))
            return None
        _put(client, nightly, job, schedule)
        return OnServer(schedule, nightly["paused"] or (known is not None and not known["active"]))


def apply_all(api: str) -> list[str]:
    """Give a server the jobs of the jobs folder and their schedules, and remove the schedules of all other jobs.

    A schedule that somebody paused or resumed in the UI gets its job back: Prefect empties the parameters then.

    Returns:
        What changed, a sentence for each.

    Raises:
        JobError: the file of the schedules cannot be read.
        NoServer, SchedulesRefused: as `schedules_on`.
    """
    wanted, jobs = read_schedules(), [*jobs_by_name()]
    # A prefect.yaml of somebody's own may hold schedules too.
    kept = scheduled_jobs(prefect_file(Path()))
    told = list[str]()
    with _client(api) as client:
        if jobs:
            _list_jobs(client, jobs, drop=True)
        nightly = _nightly(client, api)
        known = _ours(nightly)
        for job, schedule in wanted.items():
            if job in jobs and _put(client, nightly, job, schedule):
                told.append(f"{job} runs at {schedule.cron} ({schedule.time_zone}).")
        for job, each in known.items():
            if (job not in wanted and job not in kept) or job not in jobs:
                _request(client, "DELETE", _SCHEDULE, (nightly["id"], each["id"]))
                told.append(f"{job} is off its schedule, {each['schedule']['cron']}.")
    return told


def left_out() -> list[str]:
    """The schedules of the jobs folder whose job is gone, a sentence for each.

    Raises:
        JobError: the file of the schedules cannot be read.
    """
    folder, jobs = jobs_folder().resolve(), jobs_by_name()
    return [
        f"{schedules_file()} has a schedule of {job}, and the jobs folder {folder} has no such job: the schedule is "
        f"left out. `nightcast schedule {job} --off` removes it."
        for job in read_schedules()
        if job not in jobs
    ]


@contextmanager
def _client(api: str) -> Iterator[SyncPrefectClient]:
    """A client of the server, with the credentials of the environment.

    Raises:
        NoServer, SchedulesRefused: as `schedules_on`.
    """
    # Importing Prefect takes 2 s.
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL, temporary_settings

    try:
        # Whoever types a command does not wait for a server that is away; one that is starting is asked later.
        httpx.get(f"{api}/health", timeout=30)
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            yield client
    except PrefectHTTPStatusError as error:
        said = error.response.text[:300]
        raise SchedulesRefused(
            f"The Prefect server at {api} refused the schedule: {error.response.status_code} {said}"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoServer(f"No Prefect server answers at {api}: {error}") from None


def _request(client: SyncPrefectClient, method: Any, path: Any, ids: tuple[str, ...], body: Any = None) -> None:
    client.request(method, path, path_params=dict(zip(("id", "schedule_id"), ids, strict=False)), json=body)


def _deployments(client: SyncPrefectClient) -> list[dict[str, Any]]:
    wanted = {"deployments": {"tags": {"all_": [TAG]}}}
    found: list[dict[str, Any]] = client.request("POST", _ALL, json=wanted).json()  # type: ignore[arg-type]  # a route
    return found


def _nightly(client: SyncPrefectClient, api: str) -> dict[str, Any]:
    for each in _deployments(client):
        if each["name"] == NIGHTLY:
            return each
    raise SchedulesRefused(
        f"The Prefect server at {api} has no deployment {NIGHTLY!r} of Nightcast. Make the deployments first: see "
        "'Every night with Prefect' in docs/operations.md."
    )


def _ours(nightly: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The schedules of `nightly` that this module made, by job.

    A pause in the UI takes a schedule's parameters away, so that the slug alone tells the job.
    """
    return {
        each["slug"]: each
        for each in nightly["schedules"]
        if each["slug"] and "cron" in each["schedule"] and each["parameters"].get("job", each["slug"]) == each["slug"]
    }


def _schedule(known: Mapping[str, Any]) -> Schedule:
    return Schedule(known["schedule"]["cron"], known["schedule"]["timezone"])


def _put(client: SyncPrefectClient, nightly: Mapping[str, Any], job: str, schedule: Schedule) -> bool:
    """Add or change the schedule of a job; gives whether there was something to do."""
    known, identity = _ours(nightly).get(job), nightly["id"]
    timing = {"cron": schedule.cron, "timezone": schedule.time_zone, "day_or": True}
    wanted = {"schedule": timing, "parameters": {"job": job}, "slug": job}
    if known is None:
        _request(client, "POST", _SCHEDULES, (identity,), [{**wanted, "active": True}])
        return True
    if _schedule(known) == schedule and known["parameters"] == wanted["parameters"]:
        return False
    # What is not said, such as whether it is paused, stays.
    _request(client, "PATCH", _SCHEDULE, (identity, known["id"]), wanted)
    return True


def _list_jobs(client: SyncPrefectClient, jobs: Collection[str], *, drop: bool) -> None:
    """Let the forms list these jobs: the server takes no other, not even from a schedule."""
    for each in _deployments(client):
        schema = each["parameter_openapi_schema"] or {}
        field = schema.get("properties", {}).get("job", {})
        listed = field.get("enum")
        if not isinstance(listed, list):
            continue
        wanted = [*jobs] if drop else [*listed, *(job for job in jobs if job not in listed)]
        if wanted != listed:
            field["enum"] = wanted
            _request(client, "PATCH", _ONE, (each["id"],), {"parameter_openapi_schema": schema})


if __name__ == "__main__":
    try:
        if not (server := os.environ.get("PREFECT_API_URL")):
            sys.exit("Set PREFECT_API_URL to the API of the server, such as http://127.0.0.1:4200/api.")
        print("\n".join([*apply_all(server), *left_out()]) or "The schedules are as they should be.")
    except (ValueError, NoServer, SchedulesRefused) as error:
        sys.exit(f"Error: {error}")
