"""Loads and caps of nodes, as of a transaction that writes assignments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from workmesh_flows.adapters.store.assignment import AssignmentWriter, writing_all_assignments
from workmesh_flows.adapters.store.entities import count_entities
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.planning.assignment.plan import Load


@contextmanager
def writing_together(
    engine: Engine, mesh: Mesh, together: Sequence[Service], inventory: Inventory
) -> Iterator[Sequence[AssignmentWriter]]:
    """Assignment runs of these services in one transaction; runs of services that share a cap with them wait, too."""
    names = {name for node in sharing(together, inventory) for name in node.services}
    beside = [service for service in mesh.services if service.name in names]
    with writing_all_assignments(engine, together, beside) as runs:
        yield runs


def sharing(together: Sequence[Service], inventory: Inventory) -> list[Node]:
    """Nodes that take new entities of these services and have a cap over all services."""
    return [
        node
        for node in inventory.nodes.values()
        if node.shared_cap is not None and any(node.takes_new(service.name) for service in together)
    ]


def totals_of_all(
    connection: Connection, mesh: Mesh, together: Sequence[Service], inventory: Inventory
) -> Counter[str | None]:
    """The number of entities of all services by node; empty where no node has a cap over all services."""
    total = Counter[str | None]()
    if sharing(together, inventory):
        for service in mesh.services:
            total.update(count_entities(connection, service))
    return total


def loads_of(run: AssignmentWriter, inventory: Inventory, total: Counter[str | None]) -> list[Load]:
    """The loads and caps of the nodes that take new entities of a service; ``total`` is from :func:`totals_of_all`."""
    totals, service = run.node_totals(), run.service.name
    weighs = isinstance(run.service.criterion, EntityWeight)
    loads = []
    for name, node in inventory.nodes.items():
        if node.takes_new(service):
            entities, weight = totals.get(name, (0, 0))
            cap = node.entity_cap(service, elsewhere=total[name] - entities)
            loads.append(Load(name, entities, weight, cap, node.max_weight.get(service) if weighs else None))
    return loads
