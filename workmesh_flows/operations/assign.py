"""Assign: give each entity without a node one."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Engine

from workmesh_flows.adapters.entities import assigning
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.reports import SHOWN, AssignReport
from workmesh_flows.domain.service import Service
from workmesh_flows.errors import StoreError
from workmesh_flows.planning.assignment import Load, plan_assignment


def assign(
    engine: Engine, service: Service, inventory: Inventory, *, limit: int | None = None
) -> AssignReport:
    """Give a node to each entity that has none (at most ``limit`` of them), in one transaction.

    Two runs at once wait for each other, so no entity is assigned twice and no cap is exceeded. What fits nowhere
    stays unassigned and is reported with the cap that binds.
    """
    with assigning(engine, service) as run:
        held = run.held()
        loads = [
            Load(
                name,
                *held.get(name, (0, 0)),
                max_entities=node.max_entities.get(service.name),
                max_weight=node.max_weight.get(service.name),
            )
            for name, node in inventory.nodes.items()
            if node.takes_new(service.name)
        ]
        plan = plan_assignment(service.criterion, run.unassigned(limit), loads, run.position)
        written = run.write(plan.assigned)
        if written != len(plan.assigned):
            message = f"{len(plan.assigned) - written} entities of {service.name} changed meanwhile; run assign again"
            raise StoreError(message)
        run.keep_position(plan.position)
    return AssignReport(
        service.name,
        Counter(node for _, node in plan.assigned),
        len(plan.unassigned),
        [(str(key), reason) for key, reason in plan.unassigned[:SHOWN]],
    )
