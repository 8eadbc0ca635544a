"""Planning an assignment: a node for each entity that has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from workmesh_flows.domain.criteria import Criterion, EntityWeight
from workmesh_flows.domain.reports import counted, first_reason
from workmesh_flows.planning.assignment.capacity import Capacity, Slots
from workmesh_flows.planning.assignment.greedy import PlacedEntities, place
from workmesh_flows.planning.assignment.packing import BUDGET
from workmesh_flows.planning.assignment.repair import repair

NO_NODE = "no active node runs the service"
NO_WORKING_NODE = "no active node that runs the service works"
ALL_FULL = "every node is at its max_entities"
ALL_SHARED = 'every node is at its max_entities, of this service or of all services ("*")'


@dataclass(frozen=True, slots=True)
class Load:
    """Number and weight of a service's entities on a node, and its caps; a cap of None is no cap."""

    node: str
    entities: int = 0
    weight: int = 0
    max_entities: int | None = None
    max_weight: int | None = None

    def refusal(self, weight: int) -> str:
        """The cap that one more entity would exceed; empty if it fits."""
        if self.max_entities is not None and self.entities >= self.max_entities:
            return f"{self.node} is at its max_entities ({self.max_entities:,})"
        if self.max_weight is not None and self.weight + weight > self.max_weight:
            left = max(self.max_weight - self.weight, 0)
            return f"its weight {weight:,} is more than max_weight leaves free on {self.node} ({left:,})"
        return ""

    def with_one_more(self, weight: int) -> Load:
        """The same node with one more entity."""
        return replace(self, entities=self.entities + 1, weight=self.weight + weight)


@dataclass(frozen=True, slots=True)
class Part:
    """One service of a plan: its entities without a node, as (key, weight), and the nodes that may get them.

    ``position`` is the node that round robin used last; ``no_node`` is the reason if there are no nodes.
    """

    service: str
    criterion: Criterion
    entities: Iterable[tuple[Any, int]]
    loads: Sequence[Load]
    position: str | None = None
    no_node: str = NO_NODE


@dataclass(frozen=True, slots=True)
class AssignmentPlan:
    """Entities with their nodes, in order of assignment; ``unassigned`` are the others, with reasons.

    ``position`` is the node that round robin used last, to be stored for the next run.
    """

    assigned: Sequence[tuple[Any, str]]
    unassigned: Sequence[tuple[Any, str]] = ()
    position: str | None = None

    def __str__(self) -> str:
        """One line for people."""
        count, left = len(self.assigned), len(self.unassigned)
        reason = first_reason(self.unassigned)
        if not count:
            rest = f"{counted(left, 'entity', 'entities')} could not be assigned{reason}"
            return rest if left else "every entity has a node"
        nodes = Counter(node for _, node in self.assigned)
        each = ", ".join(f"{node} {entities:,}" for node, entities in sorted(nodes.items()))
        summary = f"{counted(count, 'entity', 'entities')} to {counted(len(nodes), 'node')} ({each})"
        return summary + (f", {left:,} could not be assigned{reason}" if left else "")


def plan_assignment(
    criterion: Criterion,
    entities: Iterable[tuple[Any, int]],
    loads: Sequence[Load],
    position: str | None = None,
) -> AssignmentPlan:
    """Plan one service; see :func:`plan_together`."""
    return plan_together([Part("", criterion, entities, loads, position)])[0]


def plan_together(
    parts: Sequence[Part], shared: Mapping[str, int] | None = None, *, budget: int = BUDGET
) -> list[AssignmentPlan]:
    """Assign the entities of each service within all caps; return one plan per service.

    ``max_entities`` applies under every criterion, ``max_weight`` under EntityWeight; ``shared`` is how many
    entities a node may still receive over all services. Services with the fewest nodes are placed first, each
    greedily by its criterion. If entities remain, a tabu search exchanges entities of this plan until they
    fit; ``budget`` limits the search (0: no search). Entities that had a node before never move. The input
    is not changed, and the same facts give the same plans.
    """
    slots = {node: Slots(free) for node, free in (shared or {}).items()}
    lists = [list(part.entities) for part in parts]
    nodes = [_capacities(part, slots) for part in parts]
    placed: dict[int, PlacedEntities] = {}
    for index in sorted(
        range(len(parts)), key=lambda i: (sum(node.free_entities >= 1 for node in nodes[i]), i)
    ):
        part = parts[index]
        placed[index] = place(part.criterion, lists[index], nodes[index], part.position)
    in_order = [placed[index] for index in range(len(parts))]
    if budget and any(one.unplaced for one in in_order):
        repair(in_order, lists, nodes, budget)
    return [
        AssignmentPlan(one.assigned, _reasons(one.unplaced, row, part.no_node), one.position)
        for one, row, part in zip(in_order, nodes, parts, strict=True)
    ]


def _capacities(part: Part, slots: dict[str, Slots]) -> list[Capacity]:
    by_weight = isinstance(part.criterion, EntityWeight)
    return [
        Capacity(
            load.node,
            load.entities,
            load.weight,
            inf if load.max_entities is None else load.max_entities,
            inf if load.max_weight is None or not by_weight else load.max_weight,
            slots.setdefault(load.node, Slots(inf)),
        )
        for load in sorted(part.loads, key=lambda load: load.node)
    ]


def _reasons(
    unplaced: Sequence[tuple[Any, int]], nodes: Sequence[Capacity], no_node: str
) -> list[tuple[Any, str]]:
    """Each unplaced entity with the cap that prevents its assignment."""
    if not unplaced:
        return []
    if not nodes:
        return [(key, no_node) for key, _ in unplaced]
    largest = max(nodes, key=lambda node: node.max_weight)
    full = ALL_SHARED if any(node.slots.free < 1 for node in nodes) else ALL_FULL
    most = max((node.free_weight for node in nodes if node.free_entities >= 1), default=None)

    def why(weight: int) -> str:
        if weight > largest.max_weight:
            return f"its weight {weight} exceeds every max_weight (largest {largest.max_weight}, on {largest.node})"
        if most is None:
            return full
        return f"its weight {weight} is more than max_weight leaves free on any node ({max(most, 0)})"

    return [(key, why(weight)) for key, weight in unplaced]
