"""Status: pending, in-flight, processed and failed records of each node, counted by the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.entities import NodeTotals, totals_by_node, weights_by_node
from workmesh_flows.adapters.store.failures import count_failures
from workmesh_flows.adapters.store.missing_records import missing_records
from workmesh_flows.adapters.store.protocol_tables import pull_tables, push_tables
from workmesh_flows.adapters.store.statements.counts import flag_counts
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.operations.probe import Probe


@dataclass(frozen=True, slots=True)
class Count:
    """Numbers of records of one protocol at one node.

    ``node`` is None where their entity has no node; ``owned`` is false where they have no entity.
    ``records`` = ``pending`` + ``in_flight`` + ``processed``. ``failed`` records are also counted as pending or in
    flight; ``unprocessed`` are the failed ones in flight, which their node could not process: those whose result is the
    reason, or of a protocol without results those that the node lists. ``missing`` are those in flight that their node
    did not have at the last pull, although it processed later ones.
    """

    service: str
    protocol: str
    node: str | None
    owned: bool
    records: int
    pending: int
    failed: int
    in_flight: int
    processed: int
    unprocessed: int = 0
    missing: int = 0


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
    engine: Engine, mesh: Mesh, inventory: Inventory, probes: Mapping[str, Probe] | None = None
) -> Status:
    """Count entities and records of all services: one grouped query per table."""
    weights = {service.name: weights_by_node(engine, service) for service in mesh.services}
    held = {name: found.totals for name, found in weights.items()}
    unusable = {name: found.unusable for name, found in weights.items() if found.unusable}
    counts = [count for service in mesh.services for count in _counts(engine, service)]
    weighed = frozenset(s.name for s in mesh.services if isinstance(s.criterion, EntityWeight))
    unassigned = {name: found.unusable_unassigned for name, found in weights.items()}
    return Status(inventory, weighed, held, counts, probes or {}, unusable, unassigned)


def assigned_nodes(engine: Engine, service: Service) -> list[str]:
    """The names of all nodes to which an entity of the service is assigned, in the inventory or not."""
    return sorted(node for node in totals_by_node(engine, service) if node is not None)


def _counts(engine: Engine, service: Service) -> list[Count]:
    counts = []
    for protocol in service.protocols:
        with translated_errors(), engine.connect() as connection:
            rows = connection.execute(flag_counts(service, protocol)).all()
        missing = _missing(engine, service, protocol)
        listed = Counter[tuple[str | None, bool]]()
        if protocol.push is not None and protocol.pull is None:
            listed = count_failures(engine, push_tables(service, protocol))
        failed = [min(listed[row.node, bool(row.owned)], int(row.processed)) for row in rows]
        counts += [
            Count(
                service.name,
                protocol.name,
                row.node,
                bool(row.owned),
                row.records,
                int(row.pending),
                int(row.failed) + listed_here,
                int(row.in_flight) + listed_here,
                int(row.processed) - listed_here,
                int(row.unprocessed) + listed_here,
                missing[row.node],
            )
            for row, listed_here in zip(rows, failed, strict=True)
        ]
    return counts


def _missing(engine: Engine, service: Service, protocol: Protocol) -> Counter[str | None]:
    """The number of missing records by node."""
    if protocol.push is None or protocol.pull is None:
        return Counter()
    return Counter(record.node for record in missing_records(engine, pull_tables(service, protocol)))
