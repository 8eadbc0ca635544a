"""Plans of moves: made from the current assignment, saved, and checked before they are applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine

from workmesh_flows.adapters.store.engine import database_clock, translated_errors
from workmesh_flows.adapters.store.entities import count_entities, known_entities
from workmesh_flows.adapters.store.plans import SavedPlan, mark_plan, read_plan, save_plan
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.reports import first_reason
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import ConfigurationError, StalePlan, UnknownName
from workmesh_flows.operations.assignment.loads import writing_together
from workmesh_flows.operations.moves.planner_input import read_planner_input
from workmesh_flows.planning.moves import Objective
from workmesh_flows.planning.plan_input import TAKES_NO_LONGER, changes, facts_of
from workmesh_flows.planning.rebalance.plan import plan_drain, plan_rebalance
from workmesh_flows.planning.stored_plan import Kind, StoredPlan


@dataclass(frozen=True, slots=True)
class RebalanceRequest:
    """The options of a rebalance, as for :func:`workmesh_flows.planning.rebalance.plan.plan_rebalance`."""

    tolerance: float = 0.01
    objective: Objective = "weight"
    emergency: bool = False
    sources: Collection[str] = ()
    pinned: Collection[str] = ()
    max_moves: int | None = None
    at_once: int | None = None


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """The options of a drain, which moves all entities away from these nodes."""

    nodes: Collection[str]
    pinned: Collection[str] = ()
    max_moves: int | None = None
    at_once: int | None = None


def make_plan(
    engine: Engine, mesh: Mesh, name: str, inventory: Inventory, request: RebalanceRequest | DrainRequest
) -> StoredPlan:
    """Plan moves of a service's entities and save the plan, to be applied later or never; nothing is moved.

    Raises UnknownName for an unknown node or pinned entity.
    """
    service = mesh.service(name)
    options: dict[str, Any] = {
        key: sorted(set(value)) if isinstance(value, Collection) and not isinstance(value, str) else value
        for key, value in asdict(request).items()
        if value is not None
    }
    services = [service] if isinstance(request, RebalanceRequest) else mesh.services
    pinned = require_known(engine, services, inventory, request)[name]
    with translated_errors(), engine.connect() as connection:
        found = read_planner_input(connection, mesh, service, inventory, _drained(request))
    if isinstance(request, DrainRequest):
        plan = plan_drain(
            found.entities, found.nodes, pinned=pinned, max_moves=request.max_moves, at_once=request.at_once
        )
    else:
        plan = plan_rebalance(
            found.entities,
            found.nodes,
            tolerance=request.tolerance,
            objective=request.objective,
            emergency=request.emergency,
            sources=request.sources,
            pinned=pinned,
            max_moves=request.max_moves,
            at_once=request.at_once,
        )
    if found.unusable:
        plan = replace(plan, note="; ".join(filter(None, [plan.note, _counted_as_0(found.unusable)])))
    kind: Kind = "drain" if isinstance(request, DrainRequest) else "rebalance"
    facts, excluded = facts_of(found.entities, found.nodes), _excluded(inventory, name, request)
    stored = StoredPlan(name, kind, plan, facts, options, excluded)
    save_plan(engine, stored, database_clock(engine)())
    return stored


def _counted_as_0(unusable: Sequence[tuple[Any, str]]) -> str:
    number = len(unusable)
    return f"{number:,} {'entity counts' if number == 1 else 'entities count'} as 0{first_reason(unusable)}"


def require_known(
    engine: Engine,
    services: Sequence[Service],
    inventory: Inventory,
    request: RebalanceRequest | DrainRequest,
) -> dict[str, list[Any]]:
    """Check that each requested node and pinned entity is known to one of these services; raises UnknownName.

    Returns the keys of the pinned entities by service.
    """
    with translated_errors(), engine.connect() as connection:
        counts = [count_entities(connection, service) for service in services]
        pinned = {service.name: known_entities(connection, service, request.pinned) for service in services}
    assigned = {node for count in counts for node in count if node is not None}
    known = assigned | set(inventory.nodes) | set(inventory.problems)
    for name in request.nodes if isinstance(request, DrainRequest) else request.sources:
        if name not in known:
            raise UnknownName("the mesh", "node", name, sorted(known))
    for text in request.pinned:
        if not any(text in keys for keys in pinned.values()):
            raise UnknownName(
                "the mesh" if len(pinned) > 1 else f"service {next(iter(pinned))}", "entity", text
            )
    return {name: list(keys.values()) for name, keys in pinned.items()}


def start_plan(engine: Engine, mesh: Mesh, plan_id: str, inventory: Inventory) -> SavedPlan:
    """Mark a plan as started, or continue one that was started and interrupted.

    Raises UnknownName for a plan that was never saved, StalePlan where the facts that it was made from have changed,
    and ConfigurationError where it was applied already.
    """
    saved = _open_plan(engine, plan_id)
    if saved.state == "applying":
        return saved  # entities that it moved before the interruption are at their target, and stay there
    with writing_together(engine, mesh, [mesh.service(saved.plan.service)], inventory) as (run,):
        _check(run.connection, mesh, saved, inventory)
        mark_plan(run.connection, plan_id, "applying")
    return saved


def check_plan(engine: Engine, mesh: Mesh, plan_id: str, inventory: Inventory) -> SavedPlan:
    """A plan that can be applied now; raises what :func:`start_plan` raises, and changes nothing."""
    saved = _open_plan(engine, plan_id)
    if saved.state == "planned":
        with translated_errors(), engine.connect() as connection:
            _check(connection, mesh, saved, inventory)
    return saved


def finish_plan(engine: Engine, plan_id: str) -> None:
    """Mark a plan as applied: each of its moves was made, or skipped with a reason."""
    with translated_errors(), engine.begin() as connection:
        mark_plan(connection, plan_id, "applied")


def _open_plan(engine: Engine, plan_id: str) -> SavedPlan:
    saved = read_plan(engine, plan_id)
    if saved.state == "applied":
        raise ConfigurationError(f"plan {plan_id} was applied already; plan again")
    return saved


def _check(connection: Connection, mesh: Mesh, saved: SavedPlan, inventory: Inventory) -> None:
    drained = saved.plan.options.get("nodes", ()) if saved.plan.kind == "drain" else ()
    service = mesh.service(saved.plan.service)
    found = read_planner_input(connection, mesh, service, inventory, drained)
    if changed := changes(saved.plan.facts, facts_of(found.entities, found.nodes)):
        excluded = inventory.excluded_from(service.name)
        raise StalePlan(saved.id, [_with_reason(change, excluded) for change in changed])


def _with_reason(change: str, excluded: Mapping[str, str]) -> str:
    """A change of a plan's facts, with the reason if it is that a node does not work any more."""
    for node, reason in excluded.items():
        if change == f"node {node} {TAKES_NO_LONGER}":
            return f"{change}: {reason}"
    return change


def _excluded(inventory: Inventory, service: str, request: RebalanceRequest | DrainRequest) -> dict[str, str]:
    """The nodes that the plan must not use as targets because they do not work, with the reason."""
    found = inventory.excluded_from(service)
    return {node: reason for node, reason in found.items() if node not in _drained(request)}


def _drained(request: RebalanceRequest | DrainRequest) -> Collection[str]:
    return request.nodes if isinstance(request, DrainRequest) else ()
