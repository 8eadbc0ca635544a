"""Making a plan of moves: read who is where, ask the planner, keep what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from workmesh_flows.adapters.store.engine import database_clock, translated_errors
from workmesh_flows.adapters.store.entities import count_entities, entity_named
from workmesh_flows.adapters.store.plans import SavedPlan, mark_plan, read_plan, save_plan
from workmesh_flows.adapters.store.statements.moves import nodes_of
from workmesh_flows.adapters.store.weights import read_entities
from workmesh_flows.domain.criteria import EntityWeight
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.domain.service import Mesh, Service
from workmesh_flows.errors import ConfigurationError, StalePlan, UnknownName
from workmesh_flows.operations.assignment.loads import totals_of_all, writing_together
from workmesh_flows.planning.moves import Objective, PlannerEntity, PlannerNode
from workmesh_flows.planning.plan_input import changes, facts_of
from workmesh_flows.planning.rebalance.plan import plan_drain, plan_rebalance
from workmesh_flows.planning.stored_plan import Kind, StoredPlan


@dataclass(frozen=True, slots=True)
class RebalanceRequest:
    """What is asked of a rebalance; see :func:`workmesh_flows.planning.rebalance.plan.plan_rebalance`."""

    tolerance: float = 0.01
    objective: Objective = "weight"
    emergency: bool = False
    sources: Collection[str] = ()
    pinned: Collection[str] = ()
    max_moves: int | None = None
    at_once: int | None = None


@dataclass(frozen=True, slots=True)
class DrainRequest:
    """What is asked of a drain: these nodes are to hold nothing any more."""

    nodes: Collection[str]
    pinned: Collection[str] = ()
    max_moves: int | None = None
    at_once: int | None = None


@dataclass(frozen=True, slots=True)
class _Situation:
    held: list[PlannerEntity]
    places: list[PlannerNode]


def make_plan(
    engine: Engine, mesh: Mesh, name: str, inventory: Inventory, asked: RebalanceRequest | DrainRequest
) -> StoredPlan:
    """Plan moves of a service's entities and keep the plan, to be applied later or never; nothing is moved.

    Raises UnknownName for a node or a pinned entity that is not known.
    """
    service = mesh.service(name)
    options: dict[str, Any] = {
        key: sorted(set(value)) if isinstance(value, Collection) and not isinstance(value, str) else value
        for key, value in asdict(asked).items()
        if value is not None
    }
    require_known(
        engine, [service] if isinstance(asked, RebalanceRequest) else mesh.services, inventory, asked
    )
    with translated_errors(), engine.connect() as connection:
        found = _look(connection, mesh, service, inventory, _drained(asked))
        pinned = list(_known_names(connection, service, asked.pinned).values())
    if isinstance(asked, DrainRequest):
        plan = plan_drain(
            found.held, found.places, pinned=pinned, max_moves=asked.max_moves, at_once=asked.at_once
        )
    else:
        plan = plan_rebalance(
            found.held,
            found.places,
            tolerance=asked.tolerance,
            objective=asked.objective,
            emergency=asked.emergency,
            sources=asked.sources,
            pinned=pinned,
            max_moves=asked.max_moves,
            at_once=asked.at_once,
        )
    kind: Kind = "drain" if isinstance(asked, DrainRequest) else "rebalance"
    stored = StoredPlan(name, kind, plan, facts_of(found.held, found.places), options)
    save_plan(engine, stored, database_clock(engine)())
    return stored


def require_known(
    engine: Engine,
    services: Sequence[Service],
    inventory: Inventory,
    asked: RebalanceRequest | DrainRequest,
) -> None:
    """See that each node and each pinned entity that is asked for is known to one of these services.

    Raises UnknownName; nothing was changed then.
    """
    with translated_errors(), engine.connect() as connection:
        counts = [count_entities(connection, service) for service in services]
        there = [_known_names(connection, service, asked.pinned) for service in services]
    held = {node for count in counts for node in count if node is not None}
    known = held | set(inventory.nodes) | set(inventory.problems)
    for name in asked.nodes if isinstance(asked, DrainRequest) else asked.sources:
        if name not in known:
            raise UnknownName("node", name, sorted(known))
    for said in asked.pinned:
        if not any(said in entities for entities in there):
            raise UnknownName(f"entity of {' or '.join(service.name for service in services)}", said)


def _known_names(connection: Connection, service: Service, said: Collection[str]) -> dict[str, Any]:
    """Those of the entities that a person names which are the service's, each with its key."""
    keys = {}
    for text in said:
        with suppress(UnknownName):
            keys[text] = entity_named(service, text)
    rows = connection.execute(nodes_of(service, list(keys.values())))
    there = {key for key, _ in rows}
    return {text: key for text, key in keys.items() if key in there}


def start_plan(engine: Engine, mesh: Mesh, plan_id: str, inventory: Inventory) -> SavedPlan:
    """Begin to apply a plan, or go on with one that was begun.

    Raises UnknownName for a plan that was never kept, StalePlan where what it was made from has changed, and
    ConfigurationError where it was applied already.
    """
    kept = _open_plan(engine, plan_id)
    if kept.state == "applying":
        return kept  # begun, and interrupted: what it moved is no more where the plan has it, and is skipped
    with writing_together(engine, mesh, [mesh.service(kept.plan.service)], inventory) as (run,):
        _check(run.connection, mesh, kept, inventory)
        mark_plan(run.connection, plan_id, "applying")
    return kept


def check_plan(engine: Engine, mesh: Mesh, plan_id: str, inventory: Inventory) -> SavedPlan:
    """A plan that could be applied now; raises what :func:`start_plan` raises, and begins nothing."""
    kept = _open_plan(engine, plan_id)
    if kept.state == "planned":
        with translated_errors(), engine.connect() as connection:
            _check(connection, mesh, kept, inventory)
    return kept


def finish_plan(engine: Engine, plan_id: str) -> None:
    """All of the plan was done, or skipped with a reason."""
    with translated_errors(), engine.begin() as connection:
        mark_plan(connection, plan_id, "applied")


def _open_plan(engine: Engine, plan_id: str) -> SavedPlan:
    kept = read_plan(engine, plan_id)
    if kept.state == "applied":
        raise ConfigurationError(f"plan {plan_id} was applied already; plan again")
    return kept


def _check(connection: Connection, mesh: Mesh, kept: SavedPlan, inventory: Inventory) -> None:
    drained = kept.plan.options.get("nodes", ()) if kept.plan.kind == "drain" else ()
    found = _look(connection, mesh, mesh.service(kept.plan.service), inventory, drained)
    if changed := changes(kept.plan.facts, facts_of(found.held, found.places)):
        raise StalePlan(kept.id, changed)


def _drained(asked: RebalanceRequest | DrainRequest) -> Collection[str]:
    return asked.nodes if isinstance(asked, DrainRequest) else ()


def _look(
    connection: Connection, mesh: Mesh, service: Service, inventory: Inventory, drained: Collection[str]
) -> _Situation:
    """Who is where, and every node that counts: those that run the service, and those that hold something of it."""
    held = read_entities(connection, service)
    counts = Counter(entity.node for entity in held)
    elsewhere = totals_of_all(connection, mesh, [service], inventory)
    elsewhere.subtract(counts)
    names = {entity.node for entity in held}
    names |= {name for name, node in inventory.nodes.items() if node.runs(service.name)}
    return _Situation(held, [_place(service, inventory, name, drained, elsewhere) for name in sorted(names)])


def _place(
    service: Service,
    inventory: Inventory,
    name: str,
    drained: Collection[str],
    elsewhere: Counter[str | None],
) -> PlannerNode:
    node = inventory.nodes.get(name)
    if node is None:
        return PlannerNode(name, takes=False, drain=name in drained)
    weighs = isinstance(service.criterion, EntityWeight)
    drain = name in drained or node.state is NodeState.DRAINING
    return PlannerNode(
        name,
        max_entities=node.entity_cap(service.name, elsewhere[name]),
        max_weight=node.max_weight.get(service.name) if weighs else None,
        takes=node.takes_new(service.name) and not drain,
        drain=drain,
    )
