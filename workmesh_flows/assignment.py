"""Assign and move entities from your application, for instance when an account signs up.

No flow run is needed. Caps and moves have the same guarantees as in a flow run.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from workmesh_flows.domain.reports import AssignReport, MoveReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.assignment import assign as operations
from workmesh_flows.operations.moves import reassign as move_operations
from workmesh_flows.tasks.context import move_context, this_process

__all__ = [
    "AssignReport",
    "MoveReport",
    "assign_entity",
    "assign_where",
    "assigned_node",
    "reassign_entity",
    "repush_entity",
]


def assigned_node(mesh: Mesh, service: str, entity: Any) -> str | None:  # noqa: ANN401 - any key
    """The node to which an entity, given by its key, is assigned; None if it has none. Raises UnknownName."""
    with mesh_engine(mesh) as engine:
        return operations.assigned_node(engine, mesh.service(service), entity)


def assign_entity(mesh: Mesh, service: str, entity: Any) -> str:  # noqa: ANN401 - any key
    """The node of an entity; an entity without a node is assigned to one first. Raises NoCapacity, UnknownName.

    It is made for a web request: unlike the flows and commands, it does not check first whether the nodes work, since
    that may take seconds. Set a node that does not work to ``standby`` or ``disabled``.
    """
    with mesh_engine(mesh) as engine:
        return operations.assign_entity(engine, mesh, service, load_inventory(), entity)


def assign_where(mesh: Mesh, service: str, condition: ColumnElement[bool]) -> AssignReport:
    """Assign all entities without a node that match a condition, for instance ``Account.plan == "pro"``.

    As `assign_entity`, it does not check whether the nodes work.
    """
    with mesh_engine(mesh) as engine:
        return operations.assign(engine, mesh, service, load_inventory(), where=condition)


def reassign_entity(mesh: Mesh, service: str, entity: Any, *, repush: bool = False) -> MoveReport:  # noqa: ANN401
    """Move an entity to another node; with ``repush`` all its records become pending again.

    As `assign_entity`, it does not check whether the nodes work.

    Raises NoCapacity if no other node has free capacity, and LaneBusy if another run holds a lane of its node for too long. The
    old assignment stands then.
    """
    with move_context(mesh, service, holder=this_process()) as context:
        return move_operations.reassign(context, entity, repush=repush)


def repush_entity(mesh: Mesh, service: str, entity: Any) -> MoveReport:  # noqa: ANN401 - any key
    """Make all records of an entity pending again: the next push sends them to its node from the first one on."""
    with move_context(mesh, service, holder=this_process()) as context:
        return move_operations.repush(context, entity)
