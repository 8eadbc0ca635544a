"""Status: the entities and records of each node."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from workmesh_flows.adapters.store.entities import NodeTotals, totals_by_node, weights_by_node
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.operations.counts import Count, count_records
from workmesh_flows.operations.probe import Probe


@dataclass(frozen=True, slots=True)
class Status:
    """The facts behind both status tables; ``weighed`` are the services whose entities have declared weights.

    ``unusable`` are, by service, the entities whose weight is unusable and counts as 0, with reasons;
    ``unusable_unassigned`` is the number of those without a node.
    """

    inventory: Inventory
    weighed: frozenset[str]
    held: Mapping[str, NodeTotals]
    counts: Sequence[Count]
    probes: Mapping[str, Probe] = field(default_factory=dict)
    unusable: Mapping[str, Sequence[tuple[Any, str]]] = field(default_factory=dict)
    unusable_unassigned: Mapping[str, int] = field(default_factory=dict)


def read_status(
    engine: Engine,
    mesh: Mesh,
    inventory: Inventory,
    probes: Mapping[str, Probe] | None = None,
    *,
    anew: Collection[str] | None = None,
) -> Status:
    """Count entities and records of all services.

    Where services are named in ``anew``, open records of the others are shown as they were counted last.
    """
    weights = {service.name: weights_by_node(engine, service) for service in mesh.services}
    held = {name: found.totals for name, found in weights.items()}
    unusable = {name: found.unusable for name, found in weights.items() if found.unusable}
    counts = count_records(engine, mesh.services, anew)
    weighed = frozenset(s.name for s in mesh.services if isinstance(s.criterion, EntityWeight))
    unassigned = {name: found.unusable_unassigned for name, found in weights.items()}
    return Status(inventory, weighed, held, counts, probes or {}, unusable, unassigned)


def assigned_nodes(engine: Engine, service: Service) -> list[str]:
    """The names of all nodes to which an entity of the service is assigned, in the inventory or not."""
    return sorted(node for node in totals_by_node(engine, service) if node is not None)
