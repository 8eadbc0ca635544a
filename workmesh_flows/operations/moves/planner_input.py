"""What the planners of moves need to know: each assigned entity, and each node with its caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from workmesh_flows.adapters.store.weights import read_entities
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.operations.assignment.loads import totals_of_all
from workmesh_flows.planning.moves import PlannerEntity, PlannerNode


@dataclass(frozen=True, slots=True)
class PlannerInput:
    """The assigned entities of a service, and the nodes that run it or have entities of it.

    ``unusable`` are the keys of entities whose weight is unusable and counts as 0, with reasons.
    """

    entities: list[PlannerEntity]
    nodes: list[PlannerNode]
    unusable: list[tuple[Any, str]]


def read_planner_input(
    connection: Connection, mesh: Mesh, service: Service, inventory: Inventory, drained: Collection[str]
) -> PlannerInput:
    """Read the current assignment of a service; ``drained`` nodes are to lose all their entities."""
    assigned = read_entities(connection, service)
    entities = assigned.entities
    counts = Counter(entity.node for entity in entities)
    elsewhere = totals_of_all(connection, mesh, [service], inventory)
    elsewhere.subtract(counts)
    names = {entity.node for entity in entities}
    names |= {name for name, node in inventory.nodes.items() if node.runs(service.name)}
    nodes = [_planner_node(service, inventory, name, drained, elsewhere) for name in sorted(names)]
    return PlannerInput(entities, nodes, assigned.unusable)


def _planner_node(
    service: Service,
    inventory: Inventory,
    name: str,
    drained: Collection[str],
    elsewhere: Counter[str | None],
) -> PlannerNode:
    """One node; ``elsewhere`` are its entities of other services, which count against a shared cap."""
    node = inventory.nodes.get(name)
    if node is None:
        return PlannerNode(name, takes=False, drain=name in drained)
    weighs = isinstance(service.criterion, EntityWeight)
    drain = name in drained or node.state is NodeState.DRAINING
    return PlannerNode(
        name,
        max_entities=node.entity_cap(service.name, elsewhere[name]),
        max_weight=node.max_weight.get(service.name) if weighs else None,
        takes=node.takes_new(service.name) and not drain,
        drain=drain,
    )
