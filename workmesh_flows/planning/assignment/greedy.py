"""Placing entities one after the other, each where the criterion says; nothing that was placed moves."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import inf
from typing import Any

from workmesh_flows.domain.criteria import Criterion, EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.planning.assignment.capacity import Capacity


@dataclass(slots=True)
class Placed:
    """Entities with their nodes, in the order they were placed, and those that fit nowhere, with their weights."""

    assigned: list[tuple[Any, str]]
    left: list[tuple[Any, int]]
    position: str | None


def place(
    criterion: Criterion, entities: Sequence[tuple[Any, int]], rooms: Sequence[Capacity], position: str | None
) -> Placed:
    """Give each entity (key, weight) a node as long as there is room; rooms come by name, and are counted on.

    Where weights count, the heaviest entity is placed first (longest processing time first: Graham, 1969).
    """
    match criterion:
        case RoundRobin():
            return _in_turn(entities, rooms, position)
        case EntityNumber():
            assigned, left = _least_loaded(entities, rooms, weighed=False)
        case EntityWeight():
            heaviest_first = sorted(entities, key=_weight, reverse=True)
            assigned, left = _least_loaded(heaviest_first, rooms, weighed=True)
    return Placed(assigned, left, position)


def _weight(entity: tuple[Any, int]) -> int:
    return entity[1]


def _in_turn(entities: Sequence[tuple[Any, int]], rooms: Sequence[Capacity], position: str | None) -> Placed:
    """Node after node by name, starting behind the one that came last, full ones left out."""
    behind = next((i for i, room in enumerate(rooms) if position is not None and room.node > position), 0)
    ring = [room for room in (*rooms[behind:], *rooms[:behind]) if room.left >= 1]
    rest, waiting = iter(entities), len(entities)
    assigned: list[tuple[Any, str]] = []
    while ring and waiting:
        # Whole laps, until the first node is full; at last a part of one.
        laps = int(min(waiting // len(ring), *(room.left for room in ring)))
        given, some = (laps, ring) if laps else (1, ring[:waiting])
        count = given * len(some)
        names = cycle([room.node for room in some])
        assigned += [(key, node) for (key, _), node in zip(islice(rest, count), names, strict=False)]
        for room in some:
            room.add(given, given)
        position = some[-1].node
        waiting -= count
        ring = [room for room in ring if room.left >= 1]
    return Placed(assigned, list(rest), position)


def _least_loaded(
    entities: Sequence[tuple[Any, int]], rooms: Sequence[Capacity], *, weighed: bool
) -> tuple[list[tuple[Any, str]], list[tuple[Any, int]]]:
    """The node with the smallest load for its capacity that still has room; no entity outweighs the one before.

    Loads are compared as parts of their caps, or plainly where a node has no cap; ties go to the first name. A node
    that an entity is too heavy for is set aside until one comes that fits.
    """
    caps = [room.max_weight if weighed else room.max_entities for room in rooms]
    if inf in caps:
        caps = [1] * len(rooms)

    def key(index: int) -> tuple[float, int]:
        held = rooms[index].weight if weighed else rooms[index].entities
        return (held / caps[index] if caps[index] else inf), index

    heap = [key(index) for index, room in enumerate(rooms) if room.left >= 1]
    heapq.heapify(heap)
    aside: list[tuple[float, int]] = []
    assigned: list[tuple[Any, str]] = []
    left: list[tuple[Any, int]] = []
    for entity, weight in entities:
        while aside and -aside[0][0] >= weight:
            heapq.heappush(heap, key(heapq.heappop(aside)[1]))
        while heap and rooms[heap[0][1]].free < weight:
            index = heapq.heappop(heap)[1]
            heapq.heappush(aside, (-rooms[index].free, index))
        if not heap:
            left.append((entity, weight))
            continue
        index = heap[0][1]
        room = rooms[index]
        room.add(weight)
        assigned.append((entity, room.node))
        if room.left >= 1:
            heapq.heapreplace(heap, key(index))
        else:
            heapq.heappop(heap)
    return assigned, left
