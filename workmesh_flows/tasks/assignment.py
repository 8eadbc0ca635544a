"""Tasks that assign entities."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from workmesh_flows.adapters.store.entities import entity_named, has_unassigned
from workmesh_flows.domain.node import Excluded
from workmesh_flows.domain.reports import AssignReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.progress_listeners import notify
from workmesh_flows.operations.assignment.assign import assign, assign_all, assign_entity, plan_only
from workmesh_flows.planning.assignment.plan import AssignmentPlan


@task(name="assign", task_run_name="assign {service}", cache_policy=NO_CACHE)
def assign_entities(mesh: Mesh, service: str, limit: int | None, excluded: Excluded) -> AssignReport:
    """Assign the entities of a service that have no node, at most ``limit`` of them."""
    with mesh_engine(mesh) as engine:
        inventory = load_inventory().excluding(excluded)
        return assign(engine, mesh, service, inventory, limit=limit, progress=_report)


@task(name="assign together", cache_policy=NO_CACHE)
def assign_together(mesh: Mesh, excluded: Excluded) -> dict[str, AssignReport]:
    """Assign the entities of all services that have no node, in one transaction; the reports by service."""
    with mesh_engine(mesh) as engine:
        return assign_all(engine, mesh, load_inventory().excluding(excluded), progress=_report)


@task(name="assign entity", task_run_name="assign {entity}", cache_policy=NO_CACHE)
def assign_one(mesh: Mesh, service: str, entity: str, excluded: Excluded) -> str:
    """The node of one entity; an entity without a node is assigned to one first."""
    with mesh_engine(mesh) as engine:
        key = entity_named(mesh.service(service), entity)
        return assign_entity(engine, mesh, service, load_inventory().excluding(excluded), key)


@task(name="plan assignment", task_run_name="plan assignment {service}", cache_policy=NO_CACHE)
def plan_assign(mesh: Mesh, service: str, limit: int | None, excluded: Excluded) -> AssignmentPlan:
    """Plan to which node each entity without a node would be assigned; nothing is written."""
    with mesh_engine(mesh) as engine:
        return plan_only(engine, mesh, service, load_inventory().excluding(excluded), limit=limit)


def _report(service: str, done: int, total: int) -> None:
    notify(f"{service}: entities written", done, total)


def unassigned_services(mesh: Mesh, services: Sequence[str]) -> list[str]:
    """Those of the services that have entities without a node."""
    with mesh_engine(mesh) as engine:
        return [name for name in services if has_unassigned(engine, mesh.service(name))]
