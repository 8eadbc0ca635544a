"""Assignation from a program of your own, where an account signs up: without a flow run, with the same guarantees."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from workmesh_flows.domain.reports import AssignReport, MoveReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.assignment import assign as assigning
from workmesh_flows.operations.moves import reassign as reassigning
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
    """The node of an entity, given by its key; None where it has none. Raises UnknownName."""
    with mesh_engine(mesh) as engine:
        return assigning.assigned_node(engine, mesh.service(service), entity)


def assign_entity(mesh: Mesh, service: str, entity: Any) -> str:  # noqa: ANN401 - any key
    """The node of an entity, which is given one if it has none. Raises NoCapacity, UnknownName."""
    with mesh_engine(mesh) as engine:
        return assigning.assign_entity(engine, mesh, service, load_inventory(), entity)


def assign_where(mesh: Mesh, service: str, condition: ColumnElement[bool]) -> AssignReport:
    """Give each entity of a condition that has no node one, ``Account.plan == "pro"`` for instance."""
    with mesh_engine(mesh) as engine:
        return assigning.assign(engine, mesh, service, load_inventory(), where=condition)


def reassign_entity(mesh: Mesh, service: str, entity: Any, *, repush: bool = False) -> MoveReport:  # noqa: ANN401
    """Give an entity another node, with a hand-over; with ``repush`` its data is sent again from the beginning.

    Raises NoCapacity where no other node has room, and LaneBusy where a lane of its node is held for too long: the old
    assignment stands.
    """
    with move_context(mesh, service, holder=this_process()) as context:
        return reassigning.reassign(context, entity, repush=repush)


def repush_entity(mesh: Mesh, service: str, entity: Any) -> MoveReport:  # noqa: ANN401 - any key
    """Send all data of an entity to its node again, from the beginning."""
    with move_context(mesh, service, holder=this_process()) as context:
        return reassigning.repush(context, entity)
