"""Which node for which entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from workmesh_flows.domain.criteria import Criterion, EntityWeight
from workmesh_flows.domain.reports import first_reason
from workmesh_flows.planning.assignment.capacity import Capacity, Slots
from workmesh_flows.planning.assignment.greedy import Placed, place
from workmesh_flows.planning.assignment.packing import WORK
from workmesh_flows.planning.assignment.repair import repair

NO_NODE = "no active node runs the service"
ALL_FULL = "every node is at its max_entities"
ALL_SHARED = 'every node is at its max_entities, of this service or of all together ("*")'


@dataclass(frozen=True, slots=True)
class Load:
    """What a node holds of a service and may hold; a cap of None is no cap."""

    node: str
    entities: int = 0
    weight: int = 0
    max_entities: int | None = None
    max_weight: int | None = None

    def refusal(self, weight: int) -> str:
        """The cap that keeps one more entity out, or nothing."""
        if self.max_entities is not None and self.entities >= self.max_entities:
            return f"{self.node} is at its max_entities ({self.max_entities:,})"
        if self.max_weight is not None and self.weight + weight > self.max_weight:
            left = max(self.max_weight - self.weight, 0)
            return f"its weight {weight:,} is over what max_weight leaves on {self.node} ({left:,})"
        return ""

    def with_one_more(self, weight: int) -> Load:
        """The same node with one more entity."""
        return replace(self, entities=self.entities + 1, weight=self.weight + weight)


@dataclass(frozen=True, slots=True)
class Part:
    """One service of a plan: its entities without a node (key, weight), and the nodes that may take them.

    ``position`` is the node that round robin gave last.
    """

    service: str
    criterion: Criterion
    entities: Iterable[tuple[Any, int]]
    loads: Sequence[Load]
    position: str | None = None


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """Entities with their nodes, in the order of assignment, and those that fit nowhere with the reason.

    ``position`` is the node that round robin gave last, to be kept for the next run.
    """

    assigned: Sequence[tuple[Any, str]]
    unassigned: Sequence[tuple[Any, str]] = ()
    position: str | None = None

    def __str__(self) -> str:
        """One line for people."""
        left = len(self.unassigned)
        if not self.assigned:
            are = "entity is" if left == 1 else "entities are"
            why = (
                f"{left:,} {are} without one{first_reason(self.unassigned)}"
                if left
                else "none is without one"
            )
            return f"no entity gets a node; {why}"
        nodes = len({node for _, node in self.assigned})
        told = f"{_counted(len(self.assigned), 'entity', 'entities')} to {_counted(nodes, 'node', 'nodes')}"
        fit = "fits" if left == 1 else "fit"
        return told + (f", {left:,} {fit} nowhere{first_reason(self.unassigned)}" if left else "")


def plan_assignment(
    criterion: Criterion,
    entities: Iterable[tuple[Any, int]],
    loads: Sequence[Load],
    position: str | None = None,
) -> AssignmentPlan:
    """The plan of one service alone; see :func:`plan_together`."""
    return plan_together([Part("", criterion, entities, loads, position)])[0]


def plan_together(
    parts: Sequence[Part], shared: Mapping[str, int] | None = None, *, work: int = WORK
) -> list[AssignmentPlan]:
    """Give the entities of each service a node, within the caps, without touching the input; one plan a service.

    ``max_entities`` binds under every criterion, ``max_weight`` under EntityWeight; ``shared`` is how many entities a
    node may still take over all services. Services with the fewest nodes go first, each by its criterion. Where
    something then fits nowhere, entities of this plan change places to make room, by a search that
    ``work`` bounds (0: none); what had a node before never moves. The same facts give the same plans.
    """
    slots = {node: Slots(free) for node, free in (shared or {}).items()}
    lists = [list(part.entities) for part in parts]
    rooms = [_rooms(part, slots) for part in parts]
    placed: dict[int, Placed] = {}
    for index in sorted(range(len(parts)), key=lambda i: (sum(room.left >= 1 for room in rooms[i]), i)):
        part = parts[index]
        placed[index] = place(part.criterion, lists[index], rooms[index], part.position)
    in_order = [placed[index] for index in range(len(parts))]
    if work and any(one.left for one in in_order):
        repair(in_order, lists, rooms, work)
    return [
        AssignmentPlan(one.assigned, _reasons(one.left, row), one.position)
        for one, row in zip(in_order, rooms, strict=True)
    ]


def _rooms(part: Part, slots: dict[str, Slots]) -> list[Capacity]:
    weighed = isinstance(part.criterion, EntityWeight)
    return [
        Capacity(
            load.node,
            load.entities,
            load.weight,
            inf if load.max_entities is None else load.max_entities,
            inf if load.max_weight is None or not weighed else load.max_weight,
            slots.setdefault(load.node, Slots(inf)),
        )
        for load in sorted(part.loads, key=lambda load: load.node)
    ]


def _reasons(left: Sequence[tuple[Any, int]], rooms: Sequence[Capacity]) -> list[tuple[Any, str]]:
    """Each entity that fits nowhere, with the cap that binds."""
    if not left:
        return []
    if not rooms:
        return [(key, NO_NODE) for key, _ in left]
    largest = max(rooms, key=lambda room: room.max_weight)
    full = ALL_SHARED if any(room.slots.free < 1 for room in rooms) else ALL_FULL
    most = max((room.free for room in rooms if room.left >= 1), default=None)

    def why(weight: int) -> str:
        if weight > largest.max_weight:
            return f"its weight {weight} is over every max_weight (largest {largest.max_weight}, on {largest.node})"
        if most is None:
            return full
        return f"its weight {weight} is over what max_weight leaves on any node ({max(most, 0)})"

    return [(key, why(weight)) for key, weight in left]


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
