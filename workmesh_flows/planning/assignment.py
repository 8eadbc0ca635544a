"""Which node for which entity."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from workmesh_flows.domain.criteria import Criterion, EntityNumber, EntityWeight, RoundRobin


@dataclass(frozen=True, slots=True)
class Load:
    """What a node holds of a service and may hold; a cap of None is no cap."""

    node: str
    entities: int = 0
    weight: int = 0
    max_entities: int | None = None
    max_weight: int | None = None


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
        nodes = len({node for _, node in self.assigned})
        rest = f", {len(self.unassigned)} fit nowhere" if self.unassigned else ""
        return f"{len(self.assigned)} entities to {nodes} nodes{rest}"


def plan_assignment(
    criterion: Criterion,
    entities: Iterable[tuple[Any, int]],
    loads: Sequence[Load],
    position: str | None = None,
) -> AssignmentPlan:
    """Give each entity (key, weight) a node, within the caps, without touching the input.

    ``max_entities`` binds under every criterion, ``max_weight`` under EntityWeight, where the heaviest entity is
    placed first (longest processing time first: Graham, 1969). Ties go to the first name.
    """
    room = [_Room(load) for load in sorted(loads, key=lambda load: load.node)]
    weighed = isinstance(criterion, EntityWeight)
    match criterion:
        case RoundRobin():
            return _in_turn(entities, room, position)
        case EntityNumber():
            return _least_loaded(entities, room, position, weighed=weighed)
        case EntityWeight():
            heaviest_first = sorted(entities, key=lambda entity: -entity[1])
            return _least_loaded(heaviest_first, room, position, weighed=weighed)
        case _:
            assert_never(criterion)


@dataclass(slots=True)
class _Room:
    """A node's load while the plan grows."""

    load: Load
    entities: int = field(init=False)
    weight: int = field(init=False)

    def __post_init__(self) -> None:
        self.entities, self.weight = self.load.entities, self.load.weight

    def full(self) -> bool:
        return self.load.max_entities is not None and self.entities >= self.load.max_entities

    def fits(self, weight: int) -> bool:
        cap = self.load.max_weight
        return not self.full() and (cap is None or self.weight + weight <= cap)

    def add(self, weight: int) -> None:
        self.entities += 1
        self.weight += weight


def _in_turn(entities: Iterable[tuple[Any, int]], room: list[_Room], position: str | None) -> AssignmentPlan:
    """Node after node by name, starting behind the one that came last, full ones left out."""
    behind = next((i for i, node in enumerate(room) if position is not None and node.load.node > position), 0)
    ring = [node for node in room[behind:] + room[:behind] if not node.full()]
    assigned, unassigned, turn = [], [], 0
    for key, weight in entities:
        if not ring:
            unassigned.append((key, _nowhere(room, weighed=False)))
            continue
        node = ring[turn % len(ring)]
        node.add(weight)
        position = node.load.node
        assigned.append((key, position))
        if node.full():
            turn %= len(ring)
            ring.pop(turn)
        else:
            turn += 1
    return AssignmentPlan(assigned, unassigned, position)


def _least_loaded(
    entities: Iterable[tuple[Any, int]], room: list[_Room], position: str | None, *, weighed: bool
) -> AssignmentPlan:
    """The node with the smallest load for its capacity that still has room."""
    caps = [node.load.max_weight if weighed else node.load.max_entities for node in room]
    comparable = all(caps)

    def key(index: int) -> tuple[float, int]:
        load = room[index].weight if weighed else room[index].entities
        return (load / (caps[index] or 1) if comparable else load), index

    heap = [key(index) for index, node in enumerate(room) if not node.full()]
    heapq.heapify(heap)
    assigned, unassigned = [], []
    for entity, weight in entities:
        passed_over = []
        while heap and weighed and not room[heap[0][1]].fits(weight):
            passed_over.append(heapq.heappop(heap))
        if heap:
            index = heap[0][1]
            room[index].add(weight)
            assigned.append((entity, room[index].load.node))
            if room[index].full():
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, key(index))
        else:
            unassigned.append((entity, _nowhere(room, weighed=weighed, weight=weight)))
        for item in passed_over:
            heapq.heappush(heap, item)
    return AssignmentPlan(assigned, unassigned, position)


def _nowhere(room: list[_Room], *, weighed: bool, weight: int = 1) -> str:
    """Why an entity fits nowhere: the cap that binds."""
    if not room:
        return "no active node runs the service"
    if all(node.full() for node in room):
        return "every node is at its max_entities"
    free = max((node.load.max_weight or 0) - node.weight for node in room if not node.full())
    return (
        f"its weight {weight} is over what max_weight leaves on any node ({max(free, 0)})"
        if weighed
        else "no room"
    )
