"""Where something fits nowhere: room for it, as long as entities of the same plan can change places."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple, TypeAlias

from workmesh_flows.planning.assignment.capacity import Capacity
from workmesh_flows.planning.assignment.greedy import Placed
from workmesh_flows.planning.assignment.packing import Packing

Entities: TypeAlias = Sequence[tuple[Any, int]]


class _Waiting(NamedTuple):
    """An entity that fits nowhere yet, by its place among those of its service."""

    service: int
    weight: int
    order: int


def repair(
    placed: Sequence[Placed], entities: Sequence[Entities], rooms: Sequence[Sequence[Capacity]], work: int
) -> None:
    """Place what is left, the heaviest first, and bring ``placed`` and ``rooms`` up to date.

    What was placed may get another node, and never ends without one. ``work`` bounds the search, as in Packing.
    """
    hopeful = [
        _Waiting(service, weight, order)
        for service, one in enumerate(placed)
        for most in (_most(rooms, service),)
        for order, (_, weight) in enumerate(one.left)
        if weight <= most
    ]
    if not hopeful:
        return
    names = sorted({room.node for row in rooms for room in row})
    at = {name: index for index, name in enumerate(names)}
    packing = _packing(rooms, entities, at, work)
    weights = [dict(part) for part in entities]
    for service, one in enumerate(placed):
        packing.hold_all(service, [(weights[service][key], at[node]) for key, node in one.assigned])
    hopeful.sort(key=lambda one: (-one.weight * packing.prices[one.service], one.service, one.order))
    if done := _place(packing, hopeful):
        _write_back(packing, done, placed, rooms, names)


def _most(rooms: Sequence[Sequence[Capacity]], service: int) -> float:
    """A weight that certainly fits nowhere is over this; below 0 where nothing more fits, whatever it weighs."""
    free = [room for room in rooms[service] if room.free >= 0 and room.left >= (0 if room.slots.given else 1)]
    slots = {id(room.slots): room.slots.free for row in rooms for room in row}
    if (
        sum(room.max_entities - room.entities for room in free) < 1
        or sum(max(left, 0) for left in slots.values()) < 1
    ):
        return -1
    return min(sum(room.free for room in free), max(room.free + room.given for room in free))


def _packing(
    rooms: Sequence[Sequence[Capacity]], entities: Sequence[Entities], at: dict[str, int], work: int
) -> Packing:
    """The rooms as numbers. A node that is over a cap already takes nothing."""
    weight_free: list[list[float | None]] = [[None] * len(at) for _ in rooms]
    number_free = [[0.0] * len(at) for _ in rooms]
    slots = [inf] * len(at)
    for service, row in enumerate(rooms):
        for room in row:
            node = at[room.node]
            slots[node] = max(room.slots.free, 0)
            if room.left >= 0 and room.free >= 0:
                weight_free[service][node] = room.free
                number_free[service][node] = room.max_entities - room.entities
    means = [max(sum(weight for _, weight in part) / max(len(part), 1), 1) for part in entities]
    return Packing(weight_free, number_free, slots, [1 / mean for mean in means], work)


def _place(packing: Packing, hopeful: Sequence[_Waiting]) -> list[_Waiting]:
    """Place one after the other; return those that were placed, in the order of their numbers."""
    done: list[_Waiting] = []
    failed = set[tuple[int, int]]()
    for one in hopeful:
        if packing.work < 0:
            break
        if one[:2] not in failed and packing.may_place(one.service, one.weight):
            if packing.place(one.service, one.weight):
                done.append(one)
            else:
                failed.add(one[:2])
    # What changed places may have left room for what failed before.
    placed, full = set(done), set[tuple[int, int]]()
    for one in hopeful if done else ():
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
    done: Sequence[_Waiting],
    placed: Sequence[Placed],
    rooms: Sequence[Sequence[Capacity]],
    names: Sequence[str],
) -> None:
    """Bring plans and rooms up to date: the numbers of the packing are those of ``placed``, then those of ``done``."""
    nodes = iter(packing.node)
    by_name = [{room.node: room for room in row} for row in rooms]
    weights = iter(packing.weight)
    for service, one in enumerate(placed):
        for index, (key, before) in enumerate(one.assigned):
            node, weight = names[next(nodes)], next(weights)
            if node != before:
                by_name[service][before].add(-weight, -1)
                by_name[service][node].add(weight)
                one.assigned[index] = key, node
    for waiting, number in zip(done, nodes, strict=True):
        one = placed[waiting.service]
        one.assigned.append((one.left[waiting.order][0], names[number]))
        by_name[waiting.service][names[number]].add(waiting.weight)
    for service, one in enumerate(placed):
        gone = {waiting.order for waiting in done if waiting.service == service}
        one.left[:] = [entity for order, entity in enumerate(one.left) if order not in gone]
