"""Which node for which entity."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
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
    placed first (longest processing time first: Graham, 1969). Loads are compared as parts of their caps, or plainly
    where a node has no cap. Ties go to the first name.
    """
    by_name = sorted(loads, key=lambda load: load.node)
    match criterion:
        case RoundRobin():
            return _in_turn(entities, [_Room(load) for load in by_name], position)
        case EntityNumber():
            return _least_loaded(entities, [_Room(load) for load in by_name], position)
        case EntityWeight():
            heaviest_first = sorted(entities, key=lambda entity: -entity[1])
            return _least_loaded(heaviest_first, [_WeighedRoom(load) for load in by_name], position)
        case _:
            assert_never(criterion)


@dataclass(slots=True)
class _Room:
    """A node's load while the plan grows; what counts is the number of entities."""

    load: Load
    entities: int = field(init=False)
    weight: int = field(init=False)

    def __post_init__(self) -> None:
        self.entities, self.weight = self.load.entities, self.load.weight

    @property
    def held(self) -> int:
        return self.entities

    @property
    def cap(self) -> int | None:
        return self.load.max_entities

    @property
    def free(self) -> float:
        """The heaviest entity that still fits."""
        return inf

    def full(self) -> bool:
        return self.load.max_entities is not None and self.entities >= self.load.max_entities

    def add(self, weight: int) -> None:
        self.entities += 1
        self.weight += weight


@dataclass(slots=True)
class _WeighedRoom(_Room):
    """The same where weight counts."""

    @property
    def held(self) -> int:
        return self.weight

    @property
    def cap(self) -> int | None:
        return self.load.max_weight

    @property
    def free(self) -> float:
        return inf if self.load.max_weight is None else self.load.max_weight - self.weight


def _in_turn(
    entities: Iterable[tuple[Any, int]], room: Sequence[_Room], position: str | None
) -> AssignmentPlan:
    """Node after node by name, starting behind the one that came last, full ones left out."""
    behind = next((i for i, node in enumerate(room) if position is not None and node.load.node > position), 0)
    ring = [node for node in (*room[behind:], *room[:behind]) if not node.full()]
    assigned, unassigned, turn = [], [], 0
    for key, weight in entities:
        if not ring:
            unassigned.append((key, _ALL_FULL if room else _NO_NODE))
            continue
        turn %= len(ring)
        node = ring[turn]
        node.add(weight)
        position = node.load.node
        assigned.append((key, position))
        if node.full():
            ring.pop(turn)
        else:
            turn += 1
    return AssignmentPlan(assigned, unassigned, position)


def _least_loaded(
    entities: Iterable[tuple[Any, int]], room: Sequence[_Room], position: str | None
) -> AssignmentPlan:
    """The node with the smallest load for its capacity that still has room; no entity outweighs the one before.

    A node that an entity is too heavy for is set aside until one comes that fits.
    """
    comparable = all(node.cap is not None for node in room)

    def key(index: int) -> tuple[float, int]:
        held, cap = room[index].held, room[index].cap if comparable else 1
        return (held / cap if cap else inf), index

    heap = [key(index) for index, node in enumerate(room) if not node.full()]
    heapq.heapify(heap)
    aside: list[tuple[float, int]] = []
    assigned, unassigned = [], []
    for entity, weight in entities:
        while aside and -aside[0][0] >= weight:
            heapq.heappush(heap, key(heapq.heappop(aside)[1]))
        while heap and room[heap[0][1]].free < weight:
            index = heapq.heappop(heap)[1]
            heapq.heappush(aside, (-room[index].free, index))
        if heap:
            index = heap[0][1]
            room[index].add(weight)
            assigned.append((entity, room[index].load.node))
            if room[index].full():
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, key(index))
        elif aside:
            unassigned.append((entity, _TOO_HEAVY.format(weight, max(-aside[0][0], 0))))
        else:
            unassigned.append((entity, _ALL_FULL if room else _NO_NODE))
    return AssignmentPlan(assigned, unassigned, position)


_NO_NODE = "no active node runs the service"
_ALL_FULL = "every node is at its max_entities"
_TOO_HEAVY = "its weight {} is over what max_weight leaves on any node ({})"
