"""The two status tables, built once: for artifacts, the command line and notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.domain.node import Node, likely_misspelling
from workmesh_flows.operations.status import Count, Status

NODE_COLUMNS = (
    "node",
    "state",
    "reachable",
    "entities",
    "workload",
    "used",
    "pending",
    "failed",
    "processed",
)
"""Columns of the nodes table that people see; the DataFrame has more."""
MORE_NODE_COLUMNS = ("in flight", "host", "port", "services", "version", "trouble")
SERVICE_COLUMNS = (
    "service",
    "nodes",
    "entities",
    "unassigned",
    "pending",
    "failed",
    "in flight",
    "processed",
)
"""Columns of the services table that people see; the DataFrame has more."""
MORE_SERVICE_COLUMNS = ("records", "ownerless")


PARKED_COLUMNS = (
    "service",
    "protocol",
    "record",
    "entity",
    "node",
    "state",
    "attempts",
    "waiting",
    "since",
    "reason",
)
"""Columns of the table of refused records."""


def parked_table(records: Sequence[RefusedRecord]) -> pd.DataFrame:
    """One row a refused record: its state, how often it was refused, what waits behind it, since when and why."""
    rows = [
        (
            r.service,
            r.protocol,
            r.record,
            r.entity,
            r.node,
            r.state.value,
            r.attempts,
            r.waiting,
            r.since,
            r.reason,
        )
        for r in records
    ]
    return pd.DataFrame(rows, columns=list(PARKED_COLUMNS))


def nodes_table(status: Status) -> pd.DataFrame:
    """One row a node: of the inventory, of documents that do not validate, and of names found only on entities.

    ``workload`` is the weight held, ``used`` the share of the cap that binds first (None without caps), ``pending``
    includes the ``failed`` ones that push will try again.
    """
    named = {node for held in status.held.values() for node in held if node is not None}
    names = sorted(named | set(status.inventory.nodes) | set(status.inventory.problems))
    rows = [_node_row(status, name) for name in names]
    return pd.DataFrame(rows, columns=[*NODE_COLUMNS, *MORE_NODE_COLUMNS])


def services_table(status: Status) -> pd.DataFrame:
    """One row a service. Records without an entity are ``ownerless``: never sent, and not among the pending."""
    rows = []
    for service, held in status.held.items():
        counts = [count for count in status.counts if count.service == service]
        owned = [count for count in counts if count.owned]
        rows.append(
            {
                "service": service,
                "nodes": sum(node.takes_new(service) for node in status.inventory.nodes.values()),
                "entities": sum(entities for entities, _ in held.values()),
                "unassigned": held.get(None, (0, 0))[0],
                **_totals(owned),
                "records": sum(count.records for count in counts),
                "ownerless": sum(count.records for count in counts if not count.owned),
            }
        )
    return pd.DataFrame(rows, columns=[*SERVICE_COLUMNS, *MORE_SERVICE_COLUMNS])


def _node_row(status: Status, name: str) -> dict[str, object]:
    node, probe = status.inventory.nodes.get(name), status.probes.get(name)
    held = {service: holdings[name] for service, holdings in status.held.items() if name in holdings}
    return {
        "node": name,
        "state": node.state.value if node else "invalid" if name in status.inventory.problems else "unknown",
        "reachable": None if probe is None else probe.reachable,
        "entities": sum(entities for entities, _ in held.values()),
        "workload": sum(weight for _, weight in held.values()),
        "used": None if node is None else _used(node, held, status.weighed),
        **_totals(count for count in status.counts if count.node == name),
        "host": node.host if node else None,
        "port": str(node.port) if node else None,  # a name, not an amount
        "services": ", ".join(node.services) if node else None,
        "version": probe.version if probe else None,
        "trouble": _trouble(status, name),
    }


def _trouble(status: Status, name: str) -> str | None:
    if name in status.inventory.problems:
        return status.inventory.problems[name]
    if name not in status.inventory.nodes:
        return "it is not in the inventory, and entities are assigned to it: add its block, or reassign them"
    probe = status.probes.get(name)
    found = [
        likely_misspelling(status.inventory.nodes[name].services, status.held),
        probe.trouble if probe else "",
    ]
    return "; ".join(trouble for trouble in found if trouble) or None


def _totals(counts: Iterable[Count]) -> dict[str, int]:
    kept = list(counts)
    return {
        "pending": sum(count.pending for count in kept),
        "failed": sum(count.failed for count in kept),
        "in flight": sum(count.in_flight for count in kept),
        "processed": sum(count.processed for count in kept),
    }


def _used(node: Node, held: dict[str, tuple[int, int]], weighed: frozenset[str]) -> float | None:
    """The largest share of a cap that is in use, over services and both kinds of caps.

    ``max_weight`` counts only where the criterion weighs entities. The cap that all services share counts what the
    node holds of any, those that it does not run included.
    """
    shares = []
    if node.shared_cap:
        shares.append(round(sum(entities for entities, _ in held.values()) / node.shared_cap, 3))
    for service in node.services:
        entities, weight = held.get(service, (0, 0))
        max_weight = node.max_weight.get(service) if service in weighed else None
        for load, cap in ((entities, node.max_entities.get(service)), (weight, max_weight)):
            if cap:
                shares.append(round(load / cap, 3))
    return max(shares, default=None)
