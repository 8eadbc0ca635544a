"""Automations for Prefect: who is told when something needs somebody, and dead runs marked as such.

They are found again by their names, so that installing them a second time changes them and adds none; whether one is
switched on stays as a person left it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from prefect.automations import (
    Automation,
    ChangeFlowRunState,
    DoNothing,
    EventTrigger,
    Posture,
    SendNotification,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from workmesh_flows.errors import ConfigurationError
from workmesh_flows.observability.tags import TAG

ALIVE = "prefect.flow-run.heartbeat"
ENDED = {
    f"prefect.flow-run.{state}"
    for state in ("Completed", "Failed", "Cancelled", "Crashed", "Paused", "Suspended")
}
TOLD = (
    (
        "Workmesh: a lane stopped",
        "workmesh.lane.stopped",
        "A push or a pull could not go on with one protocol of one node.",
        (
            "Lane {{ event.resource.name }} stopped: {{ event.payload.reason }}\n"
            "Nothing is lost, what was not sent stays pending. Mend the cause; the next run goes on."
        ),
    ),
    (
        "Workmesh: a record was set aside",
        "workmesh.record.parked",
        "A node refused a record for the last time; its entity's further records may wait behind it.",
        (
            "Record {{ event.resource.name }} was refused {{ event.payload.attempts }} times: {{ event.payload.reason }}\n"
            "{{ event.payload.waiting }} records wait behind it. Mend it and run replay, or skip it."
        ),
    ),
    (
        "Workmesh: entities without a node",
        "workmesh.entity.unassigned",
        "No node had room for some entities.",
        (
            "{{ event.payload.unassigned }} entities of {{ event.resource.name }} found no node with room.\n"
            "Add a node, or raise a cap."
        ),
    ),
)
"""What is told at once: name, event, what it means, text."""
AWAY = "Workmesh: a node stays away"
LEAST_AWAY_SECONDS = 10.0
"""Prefect's server waits no shorter for an event that does not come."""
DEAD = "Workmesh: runs that died are marked"
DEAD_SECONDS = 1_200.0
"""Seconds without a sign of life. Prefect's server keeps the states of a scheduled run from its automations for 15
minutes, since it waits for an event that such a run never has: before that, one that completed looks dead to them."""


def install(
    *, notify: str | None = None, away_after: float = 600.0, dead_after: float = DEAD_SECONDS
) -> list[str]:
    """Make the automations, or bring those that are there up to date; return a line for each.

    ``notify`` is a notification block as ``type-slug/name``; without one, what happens shows in the event feed alone.
    ``away_after`` and ``dead_after`` are seconds without a sign of life, of a node and of a run. Raises
    ConfigurationError for a block that is not there, or where ``away_after`` is less than 10.
    """
    if away_after < LEAST_AWAY_SECONDS:
        raise ConfigurationError(
            f"a node is told away after {LEAST_AWAY_SECONDS:g} seconds at least, not after {away_after:g}"
        )
    block = None if notify is None else _block_id(notify)
    return [_installed(made) for made in _wanted(block, away_after, dead_after)]


def _wanted(block: UUID | None, away_after: float, dead_after: float) -> Iterator[Automation]:
    nobody = "" if block else " Nobody is told yet: workmesh automations install --notify TYPE/NAME."
    for name, event, meaning, text in TOLD:
        trigger = EventTrigger(
            expect={event}, posture=Posture.Reactive, threshold=1, within=timedelta(seconds=0)
        )
        yield _automation(name, f"{meaning} Event: {event}.{nobody}", trigger, _telling(block, name, text))
    stays_away = EventTrigger(
        after={"workmesh.node.unreachable"},
        expect={"workmesh.node.recovered"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=away_after),
    )
    text = f"No run of the last {_spelt(away_after)} could reach the node."
    yield _automation(
        AWAY, f"{text} Event: workmesh.node.unreachable.{nobody}", stays_away, _telling(block, AWAY, text)
    )
    silent = EventTrigger(
        after={ALIVE},
        expect={ALIVE, *ENDED},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        match_related={"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=dead_after),
    )
    message = (
        f"No sign of life for {_spelt(dead_after)}: its process died. Nothing is lost; the next run goes on."
    )
    crashed = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message)
    meaning = f"Marks a run as Crashed after {_spelt(dead_after)} without a sign of life: it would stay Running for ever."
    yield _automation(DEAD, meaning, silent, crashed)


def _spelt(seconds: float) -> str:
    """A length of time as people say it."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g} minutes" if minutes > 1 and not rest else f"{seconds:g} seconds"


def _automation(
    name: str,
    description: str,
    trigger: EventTrigger,
    action: SendNotification | DoNothing | ChangeFlowRunState,
) -> Automation:
    return Automation(name=name, description=description, trigger=trigger, actions=[action], tags=[TAG])


def _telling(block: UUID | None, subject: str, text: str) -> SendNotification | DoNothing:
    return (
        DoNothing()
        if block is None
        else SendNotification(block_document_id=block, subject=subject, body=text)
    )


def _installed(wanted: Automation) -> str:
    with get_client(sync_client=True) as client:
        there = client.read_automations_by_name(wanted.name)
    if not there:
        wanted.create()
        return f"{wanted.name}: installed"
    wanted.id = there[0].id
    wanted.enabled = there[0].enabled
    done = "up to date"
    if _says(wanted) != _says(there[0]):
        wanted.update()
        done = "changed"
    return f"{wanted.name}: {done}{'' if wanted.enabled else ', and switched off as you left it'}"


def _says(automation: AutomationCore) -> dict[str, object]:
    """All but its id and whether it is on."""
    return automation.model_dump(include={"description", "trigger", "actions", "tags"})


def _block_id(notify: str) -> UUID:
    slug, _, name = notify.partition("/")
    if not slug or not name:
        raise ConfigurationError(f"{notify!r} names no block: write type-slug/name, as in slack-webhook/ops")
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_document_by_name(name, slug).id
        except ObjectNotFound:
            raise ConfigurationError(
                f"there is no block {notify}: make it under Blocks first, for instance a Slack Webhook"
            ) from None
