"""Nodes and entities as numbers, in the order of their names and keys: what planners reckon with."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import gcd, inf
from typing import Any

from workmesh_flows.planning.moves import PlannerEntity, PlannerNode


@dataclass(slots=True)
class Placement:
    """Who holds what. A weight is in ``unit``s, the greatest common divisor of all weights.

    ``at`` is each entity's node, ``on`` each node's entities. Held entities whose node is not among the places are
    not in here.
    """

    held: Sequence[PlannerEntity]
    places: Sequence[PlannerNode]
    unit: int
    weights: Sequence[int]
    at: list[int]
    on: list[list[int]]
    load: list[int]
    movable: Sequence[bool]
    max_load: Sequence[float]

    def copy(self) -> Placement:
        return Placement(
            self.held,
            self.places,
            self.unit,
            self.weights,
            list(self.at),
            [list(entities) for entities in self.on],
            list(self.load),
            self.movable,
            self.max_load,
        )

    @property
    def takers(self) -> list[int]:
        """The nodes that may be given entities."""
        return [node for node, place in enumerate(self.places) if place.takes and not place.drain]

    def movable_on(self, node: int) -> list[int]:
        return [entity for entity in self.on[node] if self.movable[entity]]

    def max_count(self, node: int) -> float:
        cap = self.places[node].max_entities
        return inf if cap is None else cap

    def fits(self, entity: int, node: int) -> bool:
        """Whether the node, which takes, has room for one more of this weight."""
        return self.load[node] + self.weights[entity] <= self.max_load[node] and len(
            self.on[node]
        ) < self.max_count(node)

    def move(self, entity: int, node: int) -> None:
        source, weight = self.at[entity], self.weights[entity]
        self.on[source].remove(entity)
        self.on[node].append(entity)
        self.load[source] -= weight
        self.load[node] += weight
        self.at[entity] = node

    def over_cap(self, node: int) -> bool:
        return self.load[node] > self.max_load[node] or len(self.on[node]) > self.max_count(node)

    def lifted(self, entities: Sequence[int]) -> Placement:
        """A copy in which these are on no node of the places, so that they are in nobody's way until they land."""
        up, gone = self.copy(), set(entities)
        for node in {up.at[entity] for entity in entities}:
            up.on[node] = [entity for entity in up.on[node] if entity not in gone]
        for entity in entities:
            up.load[up.at[entity]] -= up.weights[entity]
            up.at[entity] = len(self.places)
        up.on.append(list(entities))
        up.load.append(sum(up.weights[entity] for entity in entities))
        return up

    def land(self, home: Sequence[int]) -> list[int]:
        """Bring those back home that are still lifted, and name them."""
        misplaced = list(self.on[-1])
        for entity in misplaced:
            self.move(entity, home[entity])
        self.on.pop()
        self.load.pop()
        return misplaced


def placement(
    held: Sequence[PlannerEntity],
    places: Sequence[PlannerNode],
    *,
    sources: Collection[str] = (),
    pinned: Collection[Any] = (),
) -> Placement:
    """Put facts in order. Only entities on the sources may move, if there are any, and pinned ones never.

    Nor do those that outweigh the ``max_weight`` of every other node that takes entities.
    """
    by_name = sorted(places, key=lambda place: place.node)
    index = {place.node: number for number, place in enumerate(by_name)}
    by_key = sorted((one for one in held if one.node in index), key=lambda one: one.key)
    unit = gcd(*(one.weight for one in by_key)) or 1
    weights = [one.weight // unit for one in by_key]
    on: list[list[int]] = [[] for _ in by_name]
    for entity, one in enumerate(by_key):
        on[index[one.node]].append(entity)
    return Placement(
        held=by_key,
        places=by_name,
        unit=unit,
        weights=weights,
        at=[index[one.node] for one in by_key],
        on=on,
        load=[sum(weights[entity] for entity in entities) for entities in on],
        movable=_movable(by_key, by_name, set(sources), set(pinned)),
        max_load=[inf if place.max_weight is None else place.max_weight // unit for place in by_name],
    )


def _movable(
    held: Sequence[PlannerEntity], places: Sequence[PlannerNode], sources: set[str], pinned: set[Any]
) -> list[bool]:
    """What may move, and could: what outweighs the caps of all other nodes has to be borne where it is."""
    caps = {
        place.node: inf if place.max_weight is None else place.max_weight
        for place in places
        if place.takes and not place.drain
    }
    largest = nlargest(2, caps, key=lambda node: caps[node])

    def cap_elsewhere(node: str) -> float:
        return max((caps[other] for other in largest if other != node), default=inf)

    return [
        one.key not in pinned
        and (not sources or one.node in sources)
        and one.weight <= cap_elsewhere(one.node)
        for one in held
    ]
