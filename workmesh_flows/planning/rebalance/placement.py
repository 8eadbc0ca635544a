"""Nodes and entities as numbers, in the order of their names and keys, for the planners' calculations."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import gcd, inf
from typing import Any

from workmesh_flows.planning.moves import PlannerEntity, PlannerNode

LARGEST_SUM = 2**52
"""Largest sum of all weights in units: it is exact as a floating-point number, too."""


@dataclass(slots=True)
class Placement:
    """Which entity is on which node; weights in units of ``unit``, their greatest common divisor or a multiple of it.

    ``node_of`` is the node of each entity, ``entities_on`` the entities of each node, ``load`` the weight of
    each node. ``movable`` is whether an entity may move, ``max_load`` the cap on each node's weight. Entities
    on other nodes are not included.
    """

    entities: Sequence[PlannerEntity]
    nodes: Sequence[PlannerNode]
    unit: int
    weights: Sequence[int]
    node_of: list[int]
    entities_on: list[list[int]]
    load: list[int]
    movable: Sequence[bool]
    max_load: Sequence[float]

    def copy(self) -> Placement:
        return Placement(
            self.entities,
            self.nodes,
            self.unit,
            self.weights,
            list(self.node_of),
            [list(entities) for entities in self.entities_on],
            list(self.load),
            self.movable,
            self.max_load,
        )

    def weight_on(self, node: int) -> int:
        """The exact weight of a node, not in units."""
        return sum(self.entities[entity].weight for entity in self.entities_on[node])

    @property
    def receivers(self) -> list[int]:
        """The nodes that entities may be moved to."""
        return [number for number, node in enumerate(self.nodes) if node.takes and not node.drain]

    def movable_on(self, node: int) -> list[int]:
        return [entity for entity in self.entities_on[node] if self.movable[entity]]

    def max_count(self, node: int) -> float:
        cap = self.nodes[node].max_entities
        return inf if cap is None else cap

    def fits(self, entity: int, node: int) -> bool:
        """Whether a receiver has capacity for one more entity of this weight."""
        return self.load[node] + self.weights[entity] <= self.max_load[node] and len(
            self.entities_on[node]
        ) < self.max_count(node)

    def move(self, entity: int, node: int) -> None:
        source, weight = self.node_of[entity], self.weights[entity]
        self.entities_on[source].remove(entity)
        self.entities_on[node].append(entity)
        self.load[source] -= weight
        self.load[node] += weight
        self.node_of[entity] = node

    def over_cap(self, node: int) -> bool:
        return self.load[node] > self.max_load[node] or len(self.entities_on[node]) > self.max_count(node)

    def detach(self, entities: Sequence[int]) -> Placement:
        """A copy with these entities on an additional node after all others, so that they use no capacity."""
        copy, detached = self.copy(), set(entities)
        for node in {copy.node_of[entity] for entity in entities}:
            copy.entities_on[node] = [entity for entity in copy.entities_on[node] if entity not in detached]
        for entity in entities:
            copy.load[copy.node_of[entity]] -= copy.weights[entity]
            copy.node_of[entity] = len(self.nodes)
        copy.entities_on.append(list(entities))
        copy.load.append(sum(copy.weights[entity] for entity in entities))
        return copy

    def reattach(self, origin: Sequence[int]) -> list[int]:
        """Return entities that are still detached to their original nodes; returns their numbers."""
        detached = list(self.entities_on[-1])
        for entity in detached:
            self.move(entity, origin[entity])
        self.entities_on.pop()
        self.load.pop()
        return detached


def placement(
    entities: Sequence[PlannerEntity],
    nodes: Sequence[PlannerNode],
    *,
    sources: Collection[str] = (),
    pinned: Collection[Any] = (),
) -> Placement:
    """Build the placement. Pinned entities may not move; with ``sources``, only entities on them may move.

    Entities that exceed the ``max_weight`` of every other receiver may not move either.
    """
    by_name = sorted(nodes, key=lambda node: node.node)
    index = {node.node: number for number, node in enumerate(by_name)}
    by_key = sorted((one for one in entities if one.node in index), key=lambda one: one.key)
    unit = gcd(*(one.weight for one in by_key)) or 1
    # The sums are computed with 64 bits: where they would not fit, a unit is larger, and weights are rounded up.
    unit *= sum(one.weight for one in by_key) // unit // LARGEST_SUM + 1
    weights = [-(-one.weight // unit) for one in by_key]
    entities_on: list[list[int]] = [[] for _ in by_name]
    for number, one in enumerate(by_key):
        entities_on[index[one.node]].append(number)
    return Placement(
        entities=by_key,
        nodes=by_name,
        unit=unit,
        weights=weights,
        node_of=[index[one.node] for one in by_key],
        entities_on=entities_on,
        load=[sum(weights[number] for number in numbers) for numbers in entities_on],
        movable=_movable(by_key, by_name, set(sources), set(pinned)),
        max_load=[inf if node.max_weight is None else node.max_weight // unit for node in by_name],
    )


def _movable(
    entities: Sequence[PlannerEntity], nodes: Sequence[PlannerNode], sources: set[str], pinned: set[Any]
) -> list[bool]:
    """Whether each entity may move; one that is heavier than the caps of all other receivers may not."""
    caps = {
        node.node: inf if node.max_weight is None else node.max_weight
        for node in nodes
        if node.takes and not node.drain
    }
    largest = nlargest(2, caps, key=lambda name: caps[name])

    def cap_elsewhere(name: str) -> float:
        return max((caps[other] for other in largest if other != name), default=inf)

    return [
        one.key not in pinned
        and (not sources or one.node in sources)
        and one.weight <= cap_elsewhere(one.node)
        for one in entities
    ]
