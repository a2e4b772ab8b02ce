"""The automations of a Prefect server: they tell a person what went wrong, and mark killed runs as crashed.

`nightcast serve` and `nightcast automations install` install them. Installing them again updates those that differ:
an automation is recognised by its name. One that somebody paused stays paused.
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

from sql.secrets.places import remember_target
from tasks.prefect_ui import TAG

# Deployments that must succeed every night have this tag beside the project's own.
NIGHT_TAG = "night"
BLOCK_TYPE, BLOCK_NAME = "custom-webhook", "nightcast"
_RUN = "prefect.flow-run"
_LINK = "{{ flow_run|ui_url }}"
_MESSAGE = "{{ event.payload.message }}{% if event.payload.report %}\n{{ event.payload.report }}{% endif %}"


class NotifyTargetError(ValueError):
    """The target of messages cannot be used as it is written."""


class AutomationsError(Exception):
    """The server did not accept the automations."""


@dataclass(frozen=True)
class Patience:
    """How long the server waits before it acts.

    Attributes:
        silent: Time since the last heartbeat of a run, after which it counts as killed. Runs send a heartbeat every
            three minutes, or as often as PREFECT_FLOWS_HEARTBEAT_FREQUENCY says: wait longer than that.
        success: Time since the last success of a nightly deployment: a day, plus the hours until the forecasts are
            needed.
    """

    silent: timedelta = timedelta(minutes=10)
    success: timedelta = timedelta(hours=28)


@dataclass(frozen=True)
class Installed:
    """One automation as it is on the server now.

    Attributes:
        name: Its name.
        change: created, updated or unchanged.
        enabled: False if somebody paused it.
        tells: Whether it sends messages.
    """

    name: str
    change: str
    enabled: bool
    tells: bool


def automations(block: UUID | None, patience: Patience) -> list[AutomationCore]:
    """Every automation of this project.

    Args:
        block: The server's notification block that sends the messages. None leaves out the automations that only
            send messages.
        patience: How long each one waits.
    """
    made = [_silent(patience)]
    if block is not None:
        made += [
            _alerts(
                "loss",
                "The loss of a job degraded or recovered",
                ("nightcast.loss.degraded", "nightcast.loss.recovered"),
                block,
            ),
            _alerts(
                "source",
                "A source became stale, or has new values again",
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
        notify: The target of messages: an http(s) URL that accepts JSON with `text` and `title` (Slack, Mattermost
            and Teams workflows do), or a notification block of the server as type/name. None keeps the target in use.
        patience: How long the server waits; the defaults if None.

    Raises:
        NotifyTargetError: `notify` is neither a URL nor a block of this server.
        AutomationsError: the server does not answer, or refuses.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        try:
            block = _block(client, notify)
            return [_install(client, each) for each in automations(block, patience or Patience())]
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            raise AutomationsError(f"The Prefect server at {api} did not accept the automations: {error}") from None


def _install(client: SyncPrefectClient, wanted: AutomationCore) -> Installed:
    tells = isinstance(wanted.actions[0], SendNotification)
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
        return Installed(wanted.name, "created", True, tells)
    known = found[0]
    if known.model_dump(exclude={"id", "enabled"}) == wanted.model_dump(exclude={"enabled"}):
        return Installed(wanted.name, "unchanged", known.enabled, tells)
    # After an update the server starts to wait anew, so update only what has changed.
    client.update_automation(known.id, wanted.model_copy(update={"enabled": known.enabled}))
    return Installed(wanted.name, "updated", known.enabled, tells)


def _block(client: SyncPrefectClient, notify: str | None) -> UUID | None:
    """The block that sends the messages; the one of an earlier installation if `notify` is None."""
    if not notify:
        return _block_in_use(client)
    if "://" in notify:
        remember_target(notify)
    if notify.startswith(("http://", "https://")):
        block = CustomWebhookNotificationBlock(
            name=BLOCK_NAME,
            # The address often is a secret, and the UI hides only secrets.
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
            f"The server has no notification block {kind}/{name or '...'}. Give an http(s) URL; or make the block in "
            "the UI under Blocks, and give its type and name, such as slack-webhook/operations."
        ) from None


def _block_in_use(client: SyncPrefectClient) -> UUID | None:
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


def _alerts(subject_of: str, description: str, events: tuple[str, ...], block: UUID) -> AutomationCore:
    trigger = EventTrigger(match={"prefect.resource.id": "nightcast.job.*"}, expect={*events})
    subject = "{{ event.event }}: {{ event.resource.name }}"
    return _named(
        f"the {subject_of} of a job",
        f"{description}.",
        trigger,
        SendNotification(block_document_id=block, subject=subject, body=_MESSAGE),
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
    return _named("a run failed or crashed", "A run failed, crashed or timed out.", trigger, action)


def _late(block: UUID) -> AutomationCore:
    # The server waits some time by itself before it calls a run late.
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{_RUN}.*"}, match_related=_tagged(TAG), expect={f"{_RUN}.Late"}
    )
    action = SendNotification(
        block_document_id=block,
        subject="{{ deployment.name }}: a run is late",
        body="The run was due at {{ flow_run.expected_start_time }} and has not started. Check that a worker of its "
        "pool is running.\n" + _LINK,
    )
    return _named("a run is late", "A run has not started in time.", trigger, action)


def _no_success(block: UUID, patience: Patience) -> AutomationCore:
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{_RUN}.*"},
        match_related=_tagged(NIGHT_TAG),
        # For a deployment that never succeeded, its first try starts the waiting.
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
        body=f"{{{{ deployment.name }}}} has not succeeded for {hours} hours. "
        "The forecasts published last are still in place. Its last run:\n" + _LINK,
    )
    return _named(
        "no night succeeded in time", "A nightly deployment did not succeed by its deadline.", trigger, action
    )


def _silent(patience: Patience) -> AutomationCore:
    """Mark a run as crashed whose process was killed; otherwise a self-hosted server shows it as running for ever."""
    beginning = {f"{_RUN}.{state}" for state in ("heartbeat", "Pending", "Running")}
    trigger = EventTrigger(
        match={"prefect.resource.id": f"{_RUN}.*"},
        match_related=_tagged(TAG),
        after=beginning,
        # Any event of a run shows that it is alive, and its end ends the waiting.
        expect={f"{_RUN}.*"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        within=patience.silent,
    )
    minutes = f"{patience.silent / timedelta(minutes=1):.2g}"
    message = f"This run sent no heartbeat for {minutes} minutes. Its process or the machine was probably killed."
    action = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message)
    return _named(
        "a killed run is marked as crashed",
        "Marks a run without a heartbeat as crashed, which frees its slot.",
        trigger,
        action,
    )
