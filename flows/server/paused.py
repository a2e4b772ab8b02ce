"""Keep deployments and schedules paused that people paused: Prefect activates them again when it deploys."""

from __future__ import annotations

from typing import Any

import httpx

_SECONDS = 60


def paused(api: str) -> set[tuple[str, str]]:
    """What is paused on a server.

    Args:
        api: The server's API.

    Returns:
        Names of deployment and schedule; the schedule is "" where the whole deployment is paused. Empty on a new
        server.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    found = _deployments(api)
    schedules = {(each["name"], one["slug"]) for each in found for one in each["schedules"] if not one["active"]}
    return {(name, slug) for name, slug in schedules if slug} | {(each["name"], "") for each in found if each["paused"]}


def pause_again(api: str, before: set[tuple[str, str]]) -> None:
    """Pause what was paused before and is active now.

    Args:
        api: The server's API.
        before: What `paused` gave.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    for each in _deployments(api):
        address = f"{api}/deployments/{each['id']}"
        if (each["name"], "") in before and not each["paused"]:
            httpx.patch(address, json={"paused": True}, timeout=_SECONDS).raise_for_status()
        for schedule in each["schedules"]:
            if schedule["slug"] and (each["name"], schedule["slug"]) in before and schedule["active"]:
                url = f"{address}/schedules/{schedule['id']}"
                # Without them, Prefect would empty the parameters: the schedule would have lost its job.
                wanted = {"active": False, "parameters": schedule["parameters"]}
                httpx.patch(url, json=wanted, timeout=_SECONDS).raise_for_status()


def _deployments(api: str) -> list[dict[str, Any]]:
    answer = httpx.post(f"{api}/deployments/filter", json={}, timeout=_SECONDS).raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found
