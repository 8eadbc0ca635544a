"""Assign: give a node to each entity that has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Engine

from workmesh_flows.adapters.store.assignment import AssignmentWriter
from workmesh_flows.adapters.store.entities import node_of_entity
from workmesh_flows.adapters.store.weights import Weighed
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.reports import SHOWN, AssignReport, excluded_in_words
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import NoCapacity, StoreError
from workmesh_flows.operations.assignment.loads import loads_of, sharing, totals_of_all, writing_together
from workmesh_flows.planning.assignment.plan import (
    NO_NODE,
    NO_WORKING_NODE,
    AssignmentPlan,
    Part,
    plan_together,
)

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the service, the number of entities written so far, and the total."""


def no_progress(service: str, done: int, total: int) -> None:
    """Report nothing."""


def assign(  # noqa: PLR0913 - the last two narrow it down
    engine: Engine,
    mesh: Mesh,
    name: str,
    inventory: Inventory,
    *,
    limit: int | None = None,
    where: ColumnElement[bool] | None = None,
    progress: Progress = no_progress,
) -> AssignReport:
    """Give a node to each entity of a service that has none, at most ``limit`` of them, in one transaction.

    With ``where``, only entities that match the condition on their columns are assigned. ``progress`` is called while
    they are written.

    Two concurrent runs wait for each other, so no entity is assigned twice and no cap is exceeded. An entity for which
    no node has free capacity stays unassigned and is reported with the cap that binds, one with an unusable weight is
    reported with the weight.
    """
    together = [mesh.service(name)]
    return _assign(engine, mesh, together, inventory, limit=limit, where=where, progress=progress)[name]


def assign_all(
    engine: Engine,
    mesh: Mesh,
    inventory: Inventory,
    *,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, AssignReport]:
    """The same for all services of a mesh in one transaction, at most ``limit`` entities of each.

    They are planned together: where nodes have a cap that the services share, no service takes the last free capacity that
    another one needs, as long as an assignment of all entities exists.
    """
    return _assign(engine, mesh, mesh.services, inventory, limit=limit, progress=progress)


def plan_only(
    engine: Engine, mesh: Mesh, name: str, inventory: Inventory, *, limit: int | None = None
) -> AssignmentPlan:
    """The assignment that :func:`assign` would make now; nothing is written."""
    with writing_together(engine, mesh, [mesh.service(name)], inventory) as runs:
        return _plan(runs, mesh, inventory, [run.unassigned(limit) for run in runs])[0]


def assign_entity(engine: Engine, mesh: Mesh, name: str, inventory: Inventory, key: Any) -> str:  # noqa: ANN401 - any key
    """The node of one entity, which is assigned to one if it has none.

    Raises NoCapacity with the cap that binds, and UnknownName where there is no such service or entity.
    """
    service = mesh.service(name)
    if (node := node_of_entity(engine, service, key)) is not None:
        return node
    with writing_together(engine, mesh, [service], inventory) as (run,):
        if (node := run.node_of(key)) is not None:  # another run was first
            return node
        (plan,) = _plan([run], mesh, inventory, [run.weighed(key)])
        for _, reason in plan.unassigned:
            raise NoCapacity(name, str(key), reason + excluded_in_words(inventory.excluded_from(name)))
        _write(run, plan)
    return plan.assigned[0][1]


def assigned_node(engine: Engine, service: Service, key: Any) -> str | None:  # noqa: ANN401 - any key
    """The node of one entity, None where it has none; raises UnknownName where there is no such entity."""
    return node_of_entity(engine, service, key)


def _assign(  # noqa: PLR0913 - the parameters of assign
    engine: Engine,
    mesh: Mesh,
    together: Sequence[Service],
    inventory: Inventory,
    *,
    limit: int | None,
    where: ColumnElement[bool] | None = None,
    progress: Progress = no_progress,
) -> dict[str, AssignReport]:
    with writing_together(engine, mesh, together, inventory) as runs:
        plans = _plan(runs, mesh, inventory, [run.unassigned(limit, where) for run in runs])
        for run, plan in zip(runs, plans, strict=True):
            _write(run, plan, progress)
    return {
        service.name: AssignReport(
            service.name,
            Counter(node for _, node in plan.assigned),
            len(plan.unassigned),
            [(str(key), reason) for key, reason in plan.unassigned[:SHOWN]],
            inventory.excluded_from(service.name),
        )
        for service, plan in zip(together, plans, strict=True)
    }


def _plan(
    runs: Sequence[AssignmentWriter],
    mesh: Mesh,
    inventory: Inventory,
    entities: Sequence[Weighed],
) -> list[AssignmentPlan]:
    together = [run.service for run in runs]
    total = totals_of_all(runs[0].connection, mesh, together, inventory)
    parts = [
        Part(
            run.service.name,
            run.service.criterion,
            weighed.entities,
            loads_of(run, inventory, total),
            run.position,
            NO_WORKING_NODE if inventory.excluded_from(run.service.name) else NO_NODE,
        )
        for run, weighed in zip(runs, entities, strict=True)
    ]
    free = {
        node.name: node.shared_cap - total[node.name]
        for node in sharing(together, inventory)
        if node.shared_cap is not None
    }
    return [
        replace(plan, unassigned=[*weighed.unusable, *plan.unassigned]) if weighed.unusable else plan
        for plan, weighed in zip(plan_together(parts, free), entities, strict=True)
    ]


def _write(run: AssignmentWriter, plan: AssignmentPlan, progress: Progress = no_progress) -> None:
    written = run.write(plan.assigned, partial(progress, run.service.name))
    if written != len(plan.assigned):
        message = f"{len(plan.assigned) - written} entities of {run.service.name} changed meanwhile; run assign again"
        raise StoreError(message)
    run.save_position(plan.position)
