"""What each node is to hold: its capacity, its even share, and how much more is still balanced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import inf

from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import CELLS


@dataclass(frozen=True, slots=True)
class TargetLoads:
    """By node, in units of weight; ``even`` is 0 for nodes that take nothing.

    ``fair`` is what each node can be held to: an entity that outweighs all even shares has a node to itself, what does
    not fit under a node's cap does not go there, and the others share the rest. ``heaviest`` is the weight of the
    heaviest entity that counts.
    """

    capacity: Sequence[int | None]
    even: Sequence[float]
    fair: Sequence[float]
    heaviest: int

    def of(self, node: int, load: float) -> float:
        """A load as a multiple of the node's even share."""
        if self.even[node]:
            return load / self.even[node]
        return inf if load else 0.0


def even_loads(now: Placement) -> TargetLoads:
    """Share out what the takers hold and what is to come to them, by capacity, or plainly where some have none."""
    takers = now.takers
    among = set(takers)
    counts = [
        entity
        for entity, node in enumerate(now.at)
        if node in among or (now.places[node].drain and now.movable[entity])
    ]
    total = sum(now.weights[entity] for entity in counts)
    capacity = _capacities(now, takers)
    parts: list[float] = [0] * len(now.places)
    for node in takers:
        parts[node] = capacity[node] or 0 if any(capacity) else 1
    whole = sum(parts)
    even = [total * part / whole if whole else 0.0 for part in parts]
    return TargetLoads(
        capacity=capacity,
        even=even,
        fair=_fair(now, takers, even, counts),
        heaviest=max((now.weights[entity] for entity in counts), default=0),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Weight, in units, and number of entities that each node is to hold at most."""

    load: Sequence[float]
    count: Sequence[float]


def balanced(now: Placement, shares: TargetLoads, factor: float) -> Limits:
    """At most this multiple of the fair share; nothing on a drained node, and on one that takes nothing its caps.

    Whole numbers cannot always be shared more evenly than to the next one up, nor an entity be halved, nor are large
    sums told apart to the last unit; and what cannot move has to be borne.
    """
    takers = set(now.takers)
    loads: list[float] = []
    for node, place in enumerate(now.places):
        if place.drain:
            loads.append(0)
        elif node in takers:
            fair = shares.fair[node]
            up = int(fair) + (fair - int(fair) > _NOISE * fair)
            up += int(fair) // CELLS
            loads.append(min(max(int(factor * fair), up), now.max_load[node]))
        else:
            loads.append(now.max_load[node])
    return _borne(
        now, loads, [0 if place.drain else now.max_count(node) for node, place in enumerate(now.places)]
    )


def within_caps(now: Placement) -> Limits:
    """The caps and nothing else."""
    return _borne(now, now.max_load, [now.max_count(node) for node in range(len(now.places))])


def bearable(now: Placement) -> Limits:
    """The caps, and nothing on a drained node."""
    drains = [place.drain for place in now.places]
    return _borne(
        now,
        [0 if drain else load for drain, load in zip(drains, now.max_load, strict=True)],
        [0 if drain else now.max_count(node) for node, drain in enumerate(drains)],
    )


def emptied(now: Placement) -> Limits:
    """Nothing on a drained node, and all others as they like."""
    limits = [0 if place.drain else inf for place in now.places]
    return _borne(now, limits, limits)


def _borne(now: Placement, loads: Sequence[float], counts: Sequence[float]) -> Limits:
    fixed = [[entity for entity in entities if not now.movable[entity]] for entities in now.on]
    weights = [sum(now.weights[entity] for entity in entities) for entities in fixed]
    return Limits(
        [max(limit, weight) for limit, weight in zip(loads, weights, strict=True)],
        [max(limit, len(entities)) for limit, entities in zip(counts, fixed, strict=True)],
    )


_NOISE = 1e-12
"""Part of a share that may be an error of its division."""


def _capacities(now: Placement, takers: Sequence[int]) -> list[int | None]:
    none: list[int | None] = [None] * len(now.places)
    weighed = [place.max_weight for place in now.places]
    counted = [place.max_entities for place in now.places]
    for caps in (weighed, counted if all(one.weight == 1 for one in now.held) else none):
        if takers and all(caps[node] is not None for node in takers) and any(caps[node] for node in takers):
            return [cap if node in takers else None for node, cap in enumerate(caps)]
    return none


def _fair(now: Placement, takers: Sequence[int], even: Sequence[float], counts: Sequence[int]) -> list[float]:
    """Water-filling: a node whose cap is below its share has its cap, and the rest share what is left."""
    fair = list(even)
    seats = _seats(now, takers, even, counts)
    for node, weight in seats.items():
        fair[node] = weight
    open_nodes = [node for node in takers if node not in seats]
    counted = all(weight == 1 for weight in now.weights)
    caps = [min(load, now.max_count(node)) if counted else load for node, load in enumerate(now.max_load)]
    left = sum(even) - sum(seats.values())
    while open_nodes:
        whole = sum(even[node] for node in open_nodes)
        level = left / whole if whole else 0.0
        full = [node for node in open_nodes if caps[node] < even[node] * level * (1 - _NOISE)]
        for node in full:
            fair[node] = caps[node]
            left -= caps[node]
        open_nodes = [node for node in open_nodes if node not in set(full)]
        if not full:
            for node in open_nodes:
                fair[node] = even[node] * level if level != 1 else even[node]
            break
    return fair


def _seats(
    now: Placement, takers: Sequence[int], even: Sequence[float], counts: Sequence[int]
) -> dict[int, int]:
    """The nodes, with its weight, of each entity that outweighs what any other node would have without it."""
    seats: dict[int, int] = {}
    free, left = list(takers), sum(even)
    for entity in nlargest(len(takers), counts, key=lambda entity: (now.weights[entity], -entity)):
        weight, whole = now.weights[entity], sum(even[node] for node in free)
        if not whole or weight <= max(even[node] for node in free) * left / whole * (1 + _NOISE):
            break
        able = [node for node in free if weight <= now.max_load[node]]
        if able:
            seat = min(able, key=lambda node: (node != now.at[entity], now.load[node], node))
            seats[seat] = weight
            free.remove(seat)
            left -= weight
    return seats
