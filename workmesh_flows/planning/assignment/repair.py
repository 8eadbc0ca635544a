"""Placing entities that the greedy placement could not place, by exchanging entities of the same plan."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple, TypeAlias

from workmesh_flows.planning.assignment.capacity import Capacity
from workmesh_flows.planning.assignment.greedy import PlacedEntities
from workmesh_flows.planning.assignment.packing import Packing

Entities: TypeAlias = Sequence[tuple[Any, int]]


class _Unplaced(NamedTuple):
    """An unplaced entity; ``order`` is its position among those of its service."""

    service: int
    weight: int
    order: int


def repair(
    placed: Sequence[PlacedEntities],
    entities: Sequence[Entities],
    nodes: Sequence[Sequence[Capacity]],
    budget: int,
) -> None:
    """Place unplaced entities, the heaviest first; update ``placed`` and ``nodes``.

    Placed entities may get another node, but always keep one. ``budget`` limits the search, as in Packing.
    """
    candidates = [
        _Unplaced(service, weight, order)
        for service, one in enumerate(placed)
        for bound in (_weight_bound(nodes, service),)
        for order, (_, weight) in enumerate(one.unplaced)
        if weight <= bound
    ]
    if not candidates:
        return
    names = sorted({node.node for row in nodes for node in row})
    index = {name: number for number, name in enumerate(names)}
    packing = _packing(nodes, entities, index, budget)
    weights = [dict(part) for part in entities]
    for service, one in enumerate(placed):
        packing.add_placed(service, [(weights[service][key], index[node]) for key, node in one.assigned])
    candidates.sort(key=lambda one: (-one.weight * packing.prices[one.service], one.service, one.order))
    if done := _place(packing, candidates):
        _write_back(packing, done, placed, nodes, names)


def _weight_bound(nodes: Sequence[Sequence[Capacity]], service: int) -> float:
    """An upper bound of the weight that can still be placed; negative if no entity can be placed at all."""
    usable = [
        node
        for node in nodes[service]
        if node.free_weight >= 0 and node.free_entities >= (0 if node.slots.added else 1)
    ]
    slots = {id(node.slots): node.slots.free for row in nodes for node in row}
    if (
        sum(node.max_entities - node.entities for node in usable) < 1
        or sum(max(free, 0) for free in slots.values()) < 1
    ):
        return -1
    return min(
        sum(node.free_weight for node in usable),
        max(node.free_weight + node.added_weight for node in usable),
    )


def _packing(
    nodes: Sequence[Sequence[Capacity]], entities: Sequence[Entities], index: dict[str, int], budget: int
) -> Packing:
    """The capacities as numbers. A node that already exceeds a cap receives nothing."""
    weight_free: list[list[float | None]] = [[None] * len(index) for _ in nodes]
    number_free = [[0.0] * len(index) for _ in nodes]
    slots = [inf] * len(index)
    for service, row in enumerate(nodes):
        for node in row:
            number = index[node.node]
            slots[number] = max(node.slots.free, 0)
            if node.free_entities >= 0 and node.free_weight >= 0:
                weight_free[service][number] = node.free_weight
                number_free[service][number] = node.max_entities - node.entities
    means = [max(sum(weight for _, weight in part) / max(len(part), 1), 1) for part in entities]
    return Packing(weight_free, number_free, slots, [1 / mean for mean in means], budget)


def _place(packing: Packing, candidates: Sequence[_Unplaced]) -> list[_Unplaced]:
    """Place one candidate after the other; return the placed ones, in the order of their numbers."""
    done: list[_Unplaced] = []
    failed = set[tuple[int, int]]()
    for one in candidates:
        if packing.budget < 0:
            break
        if one[:2] not in failed and packing.may_place(one.service, one.weight):
            if packing.place(one.service, one.weight):
                done.append(one)
            else:
                failed.add(one[:2])
    # The exchanges may have freed capacity for candidates that failed before.
    placed, full = set(done), set[tuple[int, int]]()
    for one in candidates if done else ():
        if one in placed or one[:2] in full:
            continue
        if packing.fits(one.service, one.weight):
            packing.place(one.service, one.weight)
            done.append(one)
        else:
            full.add(one[:2])
    return done


def _write_back(
    packing: Packing,
    done: Sequence[_Unplaced],
    placed: Sequence[PlacedEntities],
    nodes: Sequence[Sequence[Capacity]],
    names: Sequence[str],
) -> None:
    """Update ``placed`` and ``nodes``; the packing has the entities of ``placed`` first, then ``done``."""
    numbers = iter(packing.node)
    by_name = [{node.node: node for node in row} for row in nodes]
    weights = iter(packing.weight)
    for service, one in enumerate(placed):
        for position, (key, before) in enumerate(one.assigned):
            name, weight = names[next(numbers)], next(weights)
            if name != before:
                by_name[service][before].add(-weight, -1)
                by_name[service][name].add(weight)
                one.assigned[position] = key, name
    for candidate, number in zip(done, numbers, strict=True):
        one = placed[candidate.service]
        one.assigned.append((one.unplaced[candidate.order][0], names[number]))
        by_name[candidate.service][names[number]].add(candidate.weight)
    for service, one in enumerate(placed):
        moved = {candidate.order for candidate in done if candidate.service == service}
        one.unplaced[:] = [entity for order, entity in enumerate(one.unplaced) if order not in moved]
