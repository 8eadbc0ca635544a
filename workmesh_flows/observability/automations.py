"""Automations for Prefect: notifications for problems that need attention, and runs that died marked as crashed.

They are looked up by their names, so that a second installation updates them and adds none; one that somebody disabled
stays disabled.
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
NOTIFIED = (
    (
        "Workmesh: lane stopped",
        "workmesh.lane.stopped",
        "A push or a pull stopped for one protocol of one node.",
        (
            "Lane {{ event.resource.name }} stopped: {{ event.payload.reason }}\n"
            "Nothing is lost. Fix the cause; the next run continues."
        ),
    ),
    (
        "Workmesh: record parked",
        "workmesh.record.parked",
        "A node refused a record for the last time; later records of its entity may wait behind it.",
        (
            "Record {{ event.resource.name }} was refused {{ event.payload.attempts }} times: {{ event.payload.reason }}\n"
            "Records waiting behind it: {{ event.payload.waiting }}. Fix it and run replay, or skip it."
        ),
    ),
    (
        "Workmesh: entities without a node",
        "workmesh.entity.unassigned",
        "An assignment left some entities without a node.",
        (
            "Entities of {{ event.resource.name }} that could not be assigned: {{ event.payload.unassigned }}.\n"
            "Add a node, or raise a cap; or correct weights that cannot be used, which workmesh check lists."
        ),
    ),
)
"""Automations that notify at once: name, event, its meaning, text of the notification."""
UNREACHABLE = "Workmesh: node unreachable"
LEAST_UNREACHABLE_SECONDS = 10.0
"""Shortest time for which Prefect's server can wait for an event that does not occur."""
DEAD = "Workmesh: dead runs marked as crashed"
DEAD_SECONDS = 1_200.0
"""Seconds without a heartbeat. Prefect's server withholds the states of a scheduled run from automations for up to 15
minutes, while it waits for an event that such a run never has: with a shorter time, a completed run looks dead."""


def automation_names() -> list[str]:
    """The names of all automations that :func:`install` creates."""
    return [*(name for name, *_ in NOTIFIED), UNREACHABLE, DEAD]


def install(
    *, notify: str | None = None, unreachable_after: float = 600.0, dead_after: float = DEAD_SECONDS
) -> list[str]:
    """Create the automations or update existing ones; return one line for each.

    ``notify`` is a notification block as ``type-slug/name``; without one, events show in the event feed only.
    ``unreachable_after`` is for how many seconds a node must be unreachable, ``dead_after`` for how many a run must send no
    heartbeat. Raises ConfigurationError if the block does not exist, or ``unreachable_after`` is less than 10.
    """
    if unreachable_after < LEAST_UNREACHABLE_SECONDS:
        raise ConfigurationError(
            f"a node can be reported after {LEAST_UNREACHABLE_SECONDS:g} seconds at the earliest, not after "
            f"{unreachable_after:g}"
        )
    block = None if notify is None else _block_id(notify)
    return [_install(automation) for automation in _automations(block, unreachable_after, dead_after)]


def _automations(block: UUID | None, unreachable_after: float, dead_after: float) -> Iterator[Automation]:
    hint = (
        "" if block else " No notification configured: run workmesh automations install --notify TYPE/NAME."
    )
    for name, event, meaning, text in NOTIFIED:
        trigger = EventTrigger(
            expect={event}, posture=Posture.Reactive, threshold=1, within=timedelta(seconds=0)
        )
        yield _automation(name, f"{meaning} Event: {event}.{hint}", trigger, _notification(block, name, text))
    unreachable = EventTrigger(
        after={"workmesh.node.unreachable"},
        expect={"workmesh.node.recovered"},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=unreachable_after),
    )
    text = f"Node unreachable: no run of the last {_spelt(unreachable_after)} could reach it, or it rejected their requests."
    yield _automation(
        UNREACHABLE,
        f"{text} Event: workmesh.node.unreachable.{hint}",
        unreachable,
        _notification(block, UNREACHABLE, text),
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
        f"No heartbeat for {_spelt(dead_after)}: its process died. Nothing is lost; the next run continues."
    )
    crashed = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message)
    meaning = f"Marks a run as Crashed after {_spelt(dead_after)} without a heartbeat; without this it stays Running."
    yield _automation(DEAD, meaning, silent, crashed)


def _spelt(seconds: float) -> str:
    """A length of time in words, in minutes where it is a whole number of them above one."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g} minutes" if minutes > 1 and not rest else f"{seconds:g} seconds"


def _automation(
    name: str,
    description: str,
    trigger: EventTrigger,
    action: SendNotification | DoNothing | ChangeFlowRunState,
) -> Automation:
    return Automation(name=name, description=description, trigger=trigger, actions=[action], tags=[TAG])


def _notification(block: UUID | None, subject: str, text: str) -> SendNotification | DoNothing:
    return (
        DoNothing()
        if block is None
        else SendNotification(block_document_id=block, subject=subject, body=text)
    )


def _install(wanted: Automation) -> str:
    with get_client(sync_client=True) as client:
        found = client.read_automations_by_name(wanted.name)
    if not found:
        wanted.create()
        return f"{wanted.name}: installed"
    wanted.id = found[0].id
    wanted.enabled = found[0].enabled
    done = "up to date"
    if _definition(wanted) != _definition(found[0]):
        wanted.update()
        done = "changed"
    return f"{wanted.name}: {done}{'' if wanted.enabled else ', still disabled'}"


def _definition(automation: AutomationCore) -> dict[str, object]:
    """Everything except its id and whether it is enabled."""
    return automation.model_dump(include={"description", "trigger", "actions", "tags"})


def _block_id(notify: str) -> UUID:
    slug, _, name = notify.partition("/")
    if not slug or not name:
        raise ConfigurationError(
            f"{notify!r} is not the name of a block: write type-slug/name, for example slack-webhook/ops"
        )
    with get_client(sync_client=True) as client:
        try:
            return client.read_block_document_by_name(name, slug).id
        except ObjectNotFound:
            raise ConfigurationError(
                f"there is no block {notify}: create it under Blocks first, for example a Slack Webhook"
            ) from None
