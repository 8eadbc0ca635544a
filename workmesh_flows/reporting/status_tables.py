"""Nodes, services, and refused and failed records as tables, for artifacts, the command line and notebooks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.domain.node import Node, concerns, likely_misspelling
from workmesh_flows.operations.counts import Count
from workmesh_flows.operations.status import Status

NODE_COLUMNS = (
    "node",
    "state",
    "reachable",
    "workload",
    "entities",
    "weight",
    "used",
    "pending",
    "failed",
    "processed",
)
"""Columns of the nodes table shown by default; the DataFrame has more."""
MORE_NODE_COLUMNS = ("works", "in flight", "host", "port", "services", "version", "problem")
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
"""Columns of the services table shown by default; the DataFrame has more."""
MORE_SERVICE_COLUMNS = ("records", "ownerless", "missing")
OTHER = "(other)"
"""The row of the nodes table for what belongs to none of its nodes."""
REFUSED_COLUMNS = (
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
"""Columns of the table of refused and failed records."""


def refused_table(records: Sequence[RefusedRecord]) -> pd.DataFrame:
    """One row per refused or failed record: its state, its attempts, the number of records behind it, since when and why."""
    rows = [
        (
            r.service,
            r.protocol,
            r.record,
            r.entity,
            r.node,
            r.state.label,
            r.attempts,
            r.waiting,
            r.since,
            r.reason,
        )
        for r in records
    ]
    return pd.DataFrame(rows, columns=list(REFUSED_COLUMNS))


def own_nodes_table(status: Status) -> pd.DataFrame:
    """The rows of :func:`nodes_table` that belong to the mesh, with its own services only."""
    frame, foreign = nodes_table(status), foreign_nodes(status)
    frame = frame[~frame["node"].isin(foreign)].reset_index(drop=True)
    frame["services"] = [_own_services(status, name) for name in frame["node"]]
    return frame


def foreign_nodes(status: Status) -> set[str]:
    """The nodes of other meshes on the same Prefect server.

    A node belongs to this mesh if it names one of its services, or a name that resembles one, or if it holds entities.
    """
    held = {node for totals in status.held.values() for node in totals}
    nodes = status.inventory.nodes.items()
    return {name for name, node in nodes if name not in held and not concerns(node, status.held)}


def _own_services(status: Status, name: str) -> str | None:
    node = status.inventory.nodes.get(name)
    return None if node is None else ", ".join(service for service in node.services if service in status.held)


def nodes_table(status: Status) -> pd.DataFrame:
    """One row per node: of the inventory, with an invalid block, or named only by entities.

    ``workload`` is the length of the node's queue at its last probe, None where the node did not report it. ``weight`` is
    the sum of the weights of its entities, ``used`` the largest share of a cap that is in use (None without caps).
    ``pending`` includes the ``failed`` records that the node refused; those that it could not process are in flight.
    ``processed`` are the records that the node has processed, also of entities that have left it. A last row, if it is not
    empty, has what belongs to none of these nodes, so that the sums are those of the services.
    """
    named = {node for held in status.held.values() for node in held if node is not None}
    names = sorted(named | set(status.inventory.nodes) | set(status.inventory.problems))
    rows: list[dict[str, object]] = [_node_row(status, name) for name in names]
    other = _other_row(status, set(names))
    if any(other.values()):
        rows.append(
            {**dict.fromkeys([*NODE_COLUMNS, *MORE_NODE_COLUMNS]), "node": OTHER, "state": "", **other}
        )
    frame = pd.DataFrame(rows, columns=[*NODE_COLUMNS, *MORE_NODE_COLUMNS])
    frame["workload"] = pd.Series(
        [row["workload"] for row in rows], dtype=object
    )  # whole numbers beside None
    return frame


def services_table(status: Status) -> pd.DataFrame:
    """One row per service. Records without an entity are ``ownerless``: never sent, and not counted as pending.

    ``nodes`` are those that hold its entities. Records that were processed before they lost their entity count as
    processed. ``missing`` records are in flight, but their node does not have them.
    """
    rows = []
    for service, held in status.held.items():
        counts = [count for count in status.counts if count.service == service]
        owned = [count for count in counts if count.owned]
        rows.append(
            {
                "service": service,
                "nodes": sum(node is not None for node in held),
                "entities": sum(entities for entities, _ in held.values()),
                "unassigned": held.get(None, (0, 0))[0],
                **_totals(owned),
                "records": sum(count.records for count in counts),
                "ownerless": sum(count.records for count in counts if not count.owned),
                "missing": sum(count.missing for count in counts),
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
        "works": None if probe is None else probe.works,
        "workload": None if probe is None else probe.workload,
        "entities": sum(entities for entities, _ in held.values()),
        "weight": sum(weight for _, weight in held.values()),
        "used": None if node is None else _used(node, held, status.weighed),
        **_totals(count for count in status.counts if count.node == name),
        "host": node.host if node else None,
        "port": str(node.port) if node else None,  # as text, so that it is not shown as an amount
        "services": ", ".join(node.services) if node else None,
        "version": probe.version if probe else None,
        "problem": _problem(status, name),
    }


def _other_row(status: Status, names: Collection[str]) -> dict[str, int]:
    """Entities without a node and their records, and processed records that none of these nodes has processed."""
    held = [totals.get(None, (0, 0)) for totals in status.held.values()]
    counts = [count for count in status.counts if count.owned and count.node not in names]
    return {
        "entities": sum(entities for entities, _ in held),
        "weight": sum(weight for _, weight in held),
        **_totals(counts),
    }


def _problem(status: Status, name: str) -> str | None:
    if name in status.inventory.problems:
        return status.inventory.problems[name]
    if name not in status.inventory.nodes:
        return (
            "it is not in the inventory, but entities are assigned to it: add its block, or: "
            f"workmesh drain {name} --apply"
        )
    probe = status.probes.get(name)
    found = [
        likely_misspelling(status.inventory.nodes[name].services, status.held),
        probe.problem if probe else "",
    ]
    return "; ".join(problem for problem in found if problem) or None


def _totals(counts: Iterable[Count]) -> dict[str, int]:
    summed = list(counts)
    return {
        "pending": sum(count.pending for count in summed),
        "failed": sum(count.failed for count in summed),
        "in flight": sum(count.in_flight for count in summed),
        "processed": sum(count.processed for count in summed),
    }


def _used(node: Node, held: dict[str, tuple[int, int]], weighed: frozenset[str]) -> float | None:
    """The largest share of a cap that is in use, over all services and both kinds of caps; None without caps.

    ``max_weight`` counts only if the criterion weighs entities. The cap shared by all services counts all entities
    of the node, including those of services that it does not run.
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
