"""The status of a mesh as pandas data frames, for notebooks and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.service import Mesh
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.status import read_status

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "correct_counts",
    "lane_status",
    "moves_made",
    "node_history",
    "node_status",
    "refused_records",
    "service_history",
    "service_status",
]


def node_status(mesh: Mesh, *, all_meshes: bool = False) -> pd.DataFrame:
    """One row for each node of the mesh: its state, its entities, and its pending, failed and processed records.

    The nodes of a mesh name one of its services or hold its entities; with ``all_meshes``, the table has all nodes of the
    Prefect server.
    """
    from workmesh_flows.inventory.documents import load_inventory
    from workmesh_flows.operations.probe import probe_and_save
    from workmesh_flows.reporting.status_tables import foreign_nodes, nodes_table, own_nodes_table

    inventory = load_inventory()
    with mesh_engine(mesh) as engine:
        status = read_status(engine, mesh, inventory)
        left_out = set() if all_meshes else foreign_nodes(status)
        asked = [node for name, node in inventory.nodes.items() if name not in left_out]
        status = replace(status, probes=probe_and_save(engine, asked))
    return nodes_table(status) if all_meshes else own_nodes_table(status)


def service_status(mesh: Mesh) -> pd.DataFrame:
    """One row for each service: its nodes and entities, and its pending, in-flight, failed and processed records.

    The nodes are those that hold its entities. No Prefect server is asked. Processed records are added up from what the
    lanes have counted; :func:`correct_counts` counts them exactly.
    """
    from workmesh_flows.reporting.status_tables import services_table

    with mesh_engine(mesh) as engine:
        return services_table(read_status(engine, mesh, Inventory({}, {})))


def correct_counts(mesh: Mesh) -> list[str]:
    """Count the processed records of all services exactly, and correct their sums; return each correction in words.

    Only other programs make a sum wrong: they delete records, or write flags by hand.
    """
    from workmesh_flows.operations import counts

    with mesh_engine(mesh) as engine:
        return [str(correction) for correction in counts.correct_counts(engine, mesh.services)]


def lane_status(mesh: Mesh) -> pd.DataFrame:
    """One row for each lane that was ever processed: its holder, its circuit breaker, and its record counts."""
    from workmesh_flows.reporting.lane_table import lanes_table

    with mesh_engine(mesh) as engine:
        return lanes_table(engine)


def refused_records(mesh: Mesh, services: Sequence[str] = ()) -> pd.DataFrame:
    """One row for each refused or failed record of these services, or of all, the earliest first; raises UnknownName."""
    from workmesh_flows.operations.delivery.replay import list_refused
    from workmesh_flows.reporting.status_tables import refused_table

    with mesh_engine(mesh) as engine:
        return refused_table(list_refused(engine, mesh, services))


def moves_made(mesh: Mesh, *, limit: int = 1_000) -> pd.DataFrame:
    """One row for each of the last ``limit`` moves, newest first: the entity, its old and new node, the reason, the time."""
    from workmesh_flows.reporting.plan_tables import move_log

    with mesh_engine(mesh) as engine:
        return move_log(engine, limit=limit)


def service_history(*, limit: int = 200) -> pd.DataFrame:
    """The services table of each of the last ``limit`` runs (at most 200), with its ``time`` (UTC), oldest first."""
    from workmesh_flows.observability.history import service_history as read_history

    return read_history(limit=limit)


def node_history(*, limit: int = 200) -> pd.DataFrame:
    """The nodes table of each of the last ``limit`` runs (at most 200), with its ``time`` (UTC), oldest first.

    Old versions keep the columns of their time, such as ``workload`` for what is called ``weight`` now.
    """
    from workmesh_flows.observability.history import node_history as read_history

    return read_history(limit=limit)
