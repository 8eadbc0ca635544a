"""The events that may happen during a run, at one of its requests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import delete

from tests.reliability.model.environment import NODES
from tests.support.shop import Order
from workmesh_flows.adapters.store.moves import Step
from workmesh_flows.errors import LaneBusy, LaneLost, LaneStopped
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.moves.hand_over import hand_over

if TYPE_CHECKING:
    from tests.reliability.model.scene import Scene


def during_run(scene: Scene, name: str) -> dict[str, Callable[[], None]]:
    """The events by name, for a run of a lane of the node ``name``."""
    return {
        "the master is killed": scene.guarantees.kill,
        "another run takes over": lambda: take_over(scene, name),
        "an entity is moved here": lambda: move_here(scene, name),
        "an entity is moved away": lambda: move_away(scene, name),
        "records are written": lambda: scene.write_now(1 + scene.written % 3, [scene.written % 4, 2]),
        "all parked records are replayed": scene.replay_all,
        "failed records are replayed": scene.replay_failed,
        "the node processes records": lambda: scene.nodes[name].process(3),
        "a record is deleted": lambda: delete_pending(scene),
    }


def take_over(scene: Scene, name: str) -> None:
    """The run is paused until its lease has expired, another run pushes, and the first one resumes."""
    scene.environment.expire()
    paused, scene.guarantees.moment = scene.guarantees.moment, None
    with suppress(LaneStopped, LaneLost):
        push_lane(scene.lane_context(name))
    scene.guarantees.moment, scene.guarantees.paused = paused, True
    scene.guarantees.add_unwritten()


def move_here(scene: Scene, name: str) -> None:
    """An entity is moved to the node of the current push, with records early and late in the order."""
    other = next((key for key, node in sorted(scene.environment.assignments().items()) if node != name), None)
    if other is None:
        return
    scene.write_now(other, [0, 5])
    source = scene.environment.assignments()[other]
    try:
        hand_over(scene.move_context(), [Step(other, source, name, 1, "a test")])
    except LaneBusy:
        assert scene.killed
    # All its records existed before the move: none of them is late.
    scene.guarantees.late -= {row.id for row in scene.environment.rows().values() if row.owner == other}


def move_away(scene: Scene, name: str) -> None:
    """The run is paused until its lease has expired, an entity is moved away, and the run resumes."""
    scene.environment.expire()
    owner = next((key for key, node in sorted(scene.environment.assignments().items()) if node == name), None)
    if owner is not None:
        target = NODES[name == NODES[0]]
        hand_over(scene.move_context(), [Step(owner, name, target, 1, "a test")])
        scene.guarantees.paused = True
        scene.guarantees.add_unwritten()


def delete_pending(scene: Scene) -> None:
    pending = [row.id for row in scene.environment.rows().values() if not row.pushed]
    if pending:
        with scene.environment.engine.begin() as connection:
            connection.execute(delete(Order).where(Order.id == max(pending)))
        scene.guarantees.add_unwritten()
