"""What the Prefect server does by itself: tell a person what went wrong, and let go of runs that were killed.

Defined here, installed by `nightcast serve` and `nightcast automations install`, as often as one likes: an automation
is known by its name, changed only where it differs, and stays paused where somebody paused it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.types import SecretDict

from tasks.prefect_ui import TAG

# The deployments that are expected to succeed every night have this tag beside the project's own.
NIGHT_TAG = "night"
BLOCK_TYPE, BLOCK_NAME = "custom-webhook", "nightcast"
_RUN = "prefect.flow-run"
_LINK = "{{ flow_run|ui_url }}"
_SAYS = "{{ event.payload.message }}"


class NotifyTargetError(ValueError):
    """Who is to be told cannot be used as it is written."""


class AutomationsError(Exception):
    """The server did not take the automations."""


@dataclass(frozen=True)
class Patience:
    """How long the server waits before it does something.

    Attributes:
        silent: After the last sign of life of a run. Each sends one every three minutes unless
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY says otherwise, so less than that takes living runs for dead.
        success: After the last success of a nightly deployment: a day, and the time until the morning's deadline.
    """

    silent: timedelta = timedelta(minutes=10)
    success: timedelta = timedelta(hours=28)


@dataclass(frozen=True)
class Installed:
    """One automation as it is on the server now.

    Attributes:
        name: Its name.
        change: created, updated or unchanged.
        enabled: False where somebody paused it.
        tells: Whether it tells a person.
    """

    name: str
    change: str
    enabled: bool
    tells: bool


def automations(block: UUID | None, patience: Patience) -> list[AutomationCore]:
    """Every automation of this project.

    Args:
        block: The notification block on the server that tells a person; None leaves out those that only tell.
        patience: How long each waits.
    """
    made = [_silent(patience)]
    if block is not None:
        made += [
            _alerts(
                "loss",
                "A loss has degraded or recovered",
                ("nightcast.loss.degraded", "nightcast.loss.recovered"),
                block,
            ),
            _alerts(
                "source",
                "A source is stale, or has new values again",
                ("nightcast.input.stale", "nightcast.input.fresh"),
                block,
            ),
            _failed(block),
            _late(block),
            _no_success(block, patience),
        ]
    return made


def install(api: str, notify: str | None = None, patience: Patience | None = None) -> list[Installed]:
    """Install all automations on a server, or bring them up to date.

    Args:
        api: The server's API, such as http://127.0.0.1:4200/api.
        notify: Who is told: an http(s) URL that takes JSON with `text` and `title` (Slack, Mattermost and Teams
            workflows do), or a notification block of the server as type/name; None for whom it was before.
        patience: How long the server waits; the defaults where None.

    Raises:
        NotifyTargetError: there is no such block, or it is no URL.
        AutomationsError: the server does not answer, or refuses.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        try:
            block = _block(client, notify)
            return [_install(client, each) for each in automations(block, patience or Patience())]
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            raise AutomationsError(f"The Prefect server at {api} did not take the automations: {error}") from None


def _install(client: SyncPrefectClient, wanted: AutomationCore) -> Installed:
    tells = isinstance(wanted.actions[0], SendNotification)
    there = client.read_automations_by_name(wanted.name)
    if not there:
        client.create_automation(wanted)
        return Installed(wanted.name, "created", True, tells)
    known = there[0]
    if known.model_dump(exclude={"id", "enabled"}) == wanted.model_dump(exclude={"enabled"}):
        return Installed(wanted.name, "unchanged", known.enabled, tells)
    # An update forgets for how long the server has been waiting: only where something has changed.
    client.update_automation(known.id, wanted.model_copy(update={"enabled": known.enabled}))
    return Installed(wanted.name, "updated", known.enabled, tells)


def _block(client: SyncPrefectClient, notify: str | None) -> UUID | None:
    """The block that tells a person; one that an earlier installation used where `notify` is None."""
    if not notify:
        return _block_before(client)
    if notify.startswith(("http://", "https://")):
        block = CustomWebhookNotificationBlock(
            name=BLOCK_NAME,
            # The address is often the secret itself, and only secrets are hidden in the UI.
            url="{{address}}",
            json_data={"title": "{{subject}}", "text": "{{subject}}\n{{body}}"},
            secrets=SecretDict({"address": notify}),
        )
        return _uuid(block.save(BLOCK_NAME, overwrite=True))
    kind, _, name = notify.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except (ObjectNotFound, PrefectHTTPStatusError):
        raise NotifyTargetError(
            f"The server has no notification block {kind}/{name or '...'}. Give an http(s) URL, or make the block in "
            "the UI under Blocks and give its type and name, such as slack-webhook/operations."
        ) from None


def _block_before(client: SyncPrefectClient) -> UUID | None:
    for automation in client.read_automations():
        for action in automation.actions:
            if automation.name.startswith(f"{TAG}: ") and isinstance(action, SendNotification):
                return action.block_document_id
    return None


def _uuid(saved: Any) -> UUID:
    return UUID(str(saved))


def _tagged(tag: str) -> dict[str, Any]:
    return {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}


def _named(name: str, description: str, trigger: EventTrigger, action: Any) -> AutomationCore:
    return AutomationCore(name=f"{TAG}: {name}", description=description, tags=[TAG], trigger=trigger, actions=[action])


def _alerts(what: str, description: str, events: tuple[str, ...], block: UUID) -> AutomationCore:
    trigger = EventTrigger(match={"prefect.resource.id": "nightcast.job.*"}, expect={*events})
    subject = "{{ event.event }}: {{ event.resource.name }}"
    return _named(
        f"the {what} of a job",
        f"{description}.",
        trigger,
        SendNotification(block_document_id=block, subject=subject, body=_SAYS),
    )


def _failed(block: UUID) -> AutomationCore:
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{_RUN}.*"},
        match_related=_tagged(TAG),
        expect={f"{_RUN}.{state}" for state in ("Failed", "Crashed", "TimedOut")},
    )
    action = SendNotification(
        block_document_id=block,
        subject="{{ flow_run.name }}: {{ flow_run.state.name }}",
        body="{{ flow_run.state.message }}\n" + _LINK,
    )
    return _named("a run failed or crashed", "A run ended in another way than it should.", trigger, action)


def _late(block: UUID) -> AutomationCore:
    # The server itself waits before it calls a run late.
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{_RUN}.*"}, match_related=_tagged(TAG), expect={f"{_RUN}.Late"}
    )
    action = SendNotification(
        block_document_id=block,
        subject="{{ deployment.name }}: a run is late",
        body="It should have begun {{ flow_run.expected_start_time }}. Is a worker of its pool running?\n" + _LINK,
    )
    return _named("a run is late", "A run that should have begun has not.", trigger, action)


def _no_success(block: UUID, patience: Patience) -> AutomationCore:
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{_RUN}.*"},
        match_related=_tagged(NIGHT_TAG),
        # Of a deployment that never succeeded, the first try counts as the last success.
        after={f"{_RUN}.{state}" for state in ("Completed", "Pending", "Late")},
        expect={f"{_RUN}.Completed"},
        for_each={"related:deployment:prefect.resource.id"},
        posture=Posture.Proactive,
        within=patience.success,
    )
    hours = f"{patience.success / timedelta(hours=1):g}"
    action = SendNotification(
        block_document_id=block,
        subject="{{ deployment.name }}: no night succeeded in time",
        body=f"{{{{ deployment.name }}}} has had no success for {hours} hours. "
        "What was published last is still there. Its last run:\n" + _LINK,
    )
    return _named(
        "no night succeeded in time", "A nightly deployment has not succeeded by its deadline.", trigger, action
    )


def _silent(patience: Patience) -> AutomationCore:
    """A self-hosted server believes for ever that a run is running whose worker was killed together with it."""
    beginning = {f"{_RUN}.{state}" for state in ("heartbeat", "Pending", "Running")}
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{_RUN}.*"},
        match_related=_tagged(TAG),
        after=beginning,
        # Whatever is heard of a run is a sign of life, and what ends it ends the waiting.
        expect={f"{_RUN}.*"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        within=patience.silent,
    )
    minutes = f"{patience.silent / timedelta(minutes=1):.2g}"
    message = f"Nothing was heard of this run for {minutes} minutes: its process, or the machine, was probably killed."
    action = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message)
    return _named("a killed run is let go", "Marks a silent run as crashed, which frees its slot.", trigger, action)
