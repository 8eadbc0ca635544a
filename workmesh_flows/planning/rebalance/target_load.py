"""The load that each node should have: its even share by capacity, and the limits of a balanced placement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import inf

from workmesh_flows.planning.rebalance.placement import Placement
from workmesh_flows.planning.rebalance.subset_sum import CELLS


@dataclass(frozen=True, slots=True)
class TargetLoads:
    """Loads by node, in units of weight; ``even`` is the even share, 0 for nodes that are not receivers.

    ``fair`` is the share that each node can reach: an entity heavier than all even shares gets a node to
    itself, weight above a node's cap is shared by the other nodes. ``heaviest`` is the weight of the heaviest
    entity that is shared.
    """

    capacity: Sequence[int | None]
    even: Sequence[float]
    fair: Sequence[float]
    heaviest: int

    def relative(self, node: int, load: float) -> float:
        """A load as a multiple of the node's even share."""
        if self.even[node]:
            return load / self.even[node]
        return inf if load else 0.0


def even_loads(now: Placement) -> TargetLoads:
    """Share the weight of the receivers and of drained nodes among the receivers, by capacity.

    The shares are equal if a receiver has no capacity.
    """
    receivers = now.receivers
    among = set(receivers)
    shared = [
        entity
        for entity, node in enumerate(now.node_of)
        if node in among or (now.nodes[node].drain and now.movable[entity])
    ]
    total = sum(now.weights[entity] for entity in shared)
    capacity = _capacities(now, receivers)
    parts: list[float] = [0] * len(now.nodes)
    for node in receivers:
        parts[node] = capacity[node] or 0 if any(capacity) else 1
    whole = sum(parts)
    even = [total * part / whole if whole else 0.0 for part in parts]
    return TargetLoads(
        capacity=capacity,
        even=even,
        fair=_fair(now, receivers, even, shared),
        heaviest=max((now.weights[entity] for entity in shared), default=0),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest weight, in units, and largest number of entities of each node."""

    load: Sequence[float]
    count: Sequence[float]


def balanced(now: Placement, targets: TargetLoads, factor: float) -> Limits:
    """Limits of balance: ``factor`` times the fair share, 0 on drained nodes, the caps on other nodes.

    Rounds up to whole units: entities are indivisible. Also allows for the size of a bucket of subset sums,
    and for entities that may not move.
    """
    receivers = set(now.receivers)
    loads: list[float] = []
    for number, node in enumerate(now.nodes):
        if node.drain:
            loads.append(0)
        elif number in receivers:
            fair = targets.fair[number]
            rounded = int(fair) + (fair - int(fair) > _ROUNDING_ERROR * fair)
            rounded += int(fair) // CELLS
            loads.append(min(max(int(factor * fair), rounded), now.max_load[number]))
        else:
            loads.append(now.max_load[number])
    return _at_least_fixed(
        now, loads, [0 if node.drain else now.max_count(number) for number, node in enumerate(now.nodes)]
    )


def within_caps(now: Placement) -> Limits:
    """The caps of all nodes, drained nodes included."""
    return _at_least_fixed(now, now.max_load, [now.max_count(node) for node in range(len(now.nodes))])


def within_caps_and_drained(now: Placement) -> Limits:
    """The caps, and 0 on drained nodes."""
    drains = [node.drain for node in now.nodes]
    return _at_least_fixed(
        now,
        [0 if drain else load for drain, load in zip(drains, now.max_load, strict=True)],
        [0 if drain else now.max_count(node) for node, drain in enumerate(drains)],
    )


def drained(now: Placement) -> Limits:
    """0 on drained nodes, no limit on all others."""
    limits = [0 if node.drain else inf for node in now.nodes]
    return _at_least_fixed(now, limits, limits)


def _at_least_fixed(now: Placement, loads: Sequence[float], counts: Sequence[float]) -> Limits:
    """The limits, raised to the weight and number of the entities that may not move."""
    fixed = [[entity for entity in entities if not now.movable[entity]] for entities in now.entities_on]
    weights = [sum(now.weights[entity] for entity in entities) for entities in fixed]
    return Limits(
        [max(limit, weight) for limit, weight in zip(loads, weights, strict=True)],
        [max(limit, len(entities)) for limit, entities in zip(counts, fixed, strict=True)],
    )


_ROUNDING_ERROR = 1e-12
"""Largest fraction of a share that may be a rounding error of its division."""


def _capacities(now: Placement, receivers: Sequence[int]) -> list[int | None]:
    none: list[int | None] = [None] * len(now.nodes)
    by_weight = [node.max_weight for node in now.nodes]
    by_number = [node.max_entities for node in now.nodes]
    for caps in (by_weight, by_number if all(one.weight == 1 for one in now.entities) else none):
        if (
            receivers
            and all(caps[node] is not None for node in receivers)
            and any(caps[node] for node in receivers)
        ):
            return [cap if node in receivers else None for node, cap in enumerate(caps)]
    return none


def _fair(
    now: Placement, receivers: Sequence[int], even: Sequence[float], shared: Sequence[int]
) -> list[float]:
    """Water-filling: a node whose cap is below its share gets its cap, and the other nodes share the rest."""
    fair = list(even)
    reserved = _reserved(now, receivers, even, shared)
    for node, weight in reserved.items():
        fair[node] = weight
    open_nodes = [node for node in receivers if node not in reserved]
    count_only = all(weight == 1 for weight in now.weights)
    caps = [min(load, now.max_count(node)) if count_only else load for node, load in enumerate(now.max_load)]
    left = sum(even) - sum(reserved.values())
    while open_nodes:
        whole = sum(even[node] for node in open_nodes)
        level = left / whole if whole else 0.0
        full = [node for node in open_nodes if caps[node] < even[node] * level * (1 - _ROUNDING_ERROR)]
        for node in full:
            fair[node] = caps[node]
            left -= caps[node]
        open_nodes = [node for node in open_nodes if node not in set(full)]
        if not full:
            for node in open_nodes:
                fair[node] = even[node] * level if level != 1 else even[node]
            break
    return fair


def _reserved(
    now: Placement, receivers: Sequence[int], even: Sequence[float], shared: Sequence[int]
) -> dict[int, int]:
    """Nodes reserved for one entity, with its weight: entities heavier than any node's remaining share."""
    reserved: dict[int, int] = {}
    free, left = list(receivers), sum(even)
    for entity in nlargest(len(receivers), shared, key=lambda entity: (now.weights[entity], -entity)):
        weight, whole = now.weights[entity], sum(even[node] for node in free)
        if not whole or weight <= max(even[node] for node in free) * left / whole * (1 + _ROUNDING_ERROR):
            break
        able = [node for node in free if weight <= now.max_load[node]]
        if able:
            chosen = min(able, key=lambda node: (node != now.node_of[entity], now.load[node], node))
            reserved[chosen] = weight
            free.remove(chosen)
            left -= weight
    return reserved
