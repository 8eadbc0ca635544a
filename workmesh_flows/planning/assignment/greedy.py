"""Greedy placement: each entity in turn goes to the node that the criterion prefers, and stays there."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import inf
from typing import Any

from workmesh_flows.domain.criteria import Criterion, EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.planning.assignment.capacity import Capacity


@dataclass(slots=True)
class PlacedEntities:
    """Keys with their nodes, in the order of placement; ``unplaced`` are (key, weight) that did not fit."""

    assigned: list[tuple[Any, str]]
    unplaced: list[tuple[Any, int]]
    position: str | None


def place(
    criterion: Criterion,
    entities: Sequence[tuple[Any, int]],
    nodes: Sequence[Capacity],
    position: str | None,
) -> PlacedEntities:
    """Place each entity (key, weight) while capacity lasts; ``nodes`` are sorted by name and are updated.

    By weight, the heaviest entity is placed first (longest processing time first: Graham, 1969). Entities of weight 0
    do not change a load: they are placed last, by number.
    """
    match criterion:
        case RoundRobin():
            return _round_robin(entities, nodes, position)
        case EntityNumber():
            assigned, unplaced = _least_loaded(entities, nodes, by_weight=False)
        case EntityWeight():
            heaviest_first = sorted(entities, key=_weight, reverse=True)
            heavy = bisect_left(heaviest_first, 0, key=lambda entity: -entity[1])
            assigned, unplaced = _least_loaded(heaviest_first[:heavy], nodes, by_weight=True)
            if heavy < len(heaviest_first):
                more, rest = _least_loaded(heaviest_first[heavy:], nodes, by_weight=False)
                assigned, unplaced = assigned + more, unplaced + rest
    return PlacedEntities(assigned, unplaced, position)


def _weight(entity: tuple[Any, int]) -> int:
    return entity[1]


def _round_robin(
    entities: Sequence[tuple[Any, int]], nodes: Sequence[Capacity], position: str | None
) -> PlacedEntities:
    """Assign to one node after the other by name, starting after ``position``; full nodes are skipped."""
    start = next((i for i, node in enumerate(nodes) if position is not None and node.node > position), 0)
    ring = [node for node in (*nodes[start:], *nodes[:start]) if node.free_entities >= 1]
    remaining, count = iter(entities), len(entities)
    assigned: list[tuple[Any, str]] = []
    while ring and count:
        # As many whole rounds as fit before the first node is full; the last round may be partial.
        rounds = int(min(count // len(ring), *(node.free_entities for node in ring)))
        per_node, receivers = (rounds, ring) if rounds else (1, ring[:count])
        taken = per_node * len(receivers)
        names = cycle([node.node for node in receivers])
        assigned += [(key, node) for (key, _), node in zip(islice(remaining, taken), names, strict=False)]
        for node in receivers:
            node.add(per_node, per_node)
        position = receivers[-1].node
        count -= taken
        ring = [node for node in ring if node.free_entities >= 1]
    return PlacedEntities(assigned, list(remaining), position)


def _least_loaded(
    entities: Sequence[tuple[Any, int]], nodes: Sequence[Capacity], *, by_weight: bool
) -> tuple[list[tuple[Any, str]], list[tuple[Any, int]]]:
    """Assign each entity to the least loaded node where it fits; weights must not increase.

    Loads are divided by the cap, or compared as they are if any node has no cap; ties go to the first name. A
    node with too little free weight for an entity leaves the heap until an entity fits again.
    """
    caps = [node.max_weight if by_weight else node.max_entities for node in nodes]
    if inf in caps:
        caps = [1] * len(nodes)

    def key(index: int) -> tuple[float, int]:
        load = nodes[index].weight if by_weight else nodes[index].entities
        return (load / caps[index] if caps[index] else inf), index

    heap = [key(index) for index, node in enumerate(nodes) if node.free_entities >= 1]
    heapq.heapify(heap)
    too_tight: list[tuple[float, int]] = []
    assigned: list[tuple[Any, str]] = []
    unplaced: list[tuple[Any, int]] = []
    for entity, weight in entities:
        while too_tight and -too_tight[0][0] >= weight:
            heapq.heappush(heap, key(heapq.heappop(too_tight)[1]))
        while heap and nodes[heap[0][1]].free_weight < weight:
            index = heapq.heappop(heap)[1]
            heapq.heappush(too_tight, (-nodes[index].free_weight, index))
        if not heap:
            unplaced.append((entity, weight))
            continue
        index = heap[0][1]
        node = nodes[index]
        node.add(weight)
        assigned.append((entity, node.node))
        if node.free_entities >= 1:
            heapq.heapreplace(heap, key(index))
        else:
            heapq.heappop(heap)
    return assigned, unplaced
