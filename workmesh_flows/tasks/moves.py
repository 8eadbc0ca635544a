"""Tasks that make plans and move entities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from workmesh_flows.adapters.store.entities import entity_named
from workmesh_flows.adapters.store.plans import read_plan
from workmesh_flows.domain.node import Excluded, NodeState
from workmesh_flows.domain.reports import MoveReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.inventory.documents import load_inventory, set_node_state
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.observability.progress_listeners import notify
from workmesh_flows.operations.moves import reassign as operations
from workmesh_flows.operations.moves.apply import hand_over_wave
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.plan import (
    DrainRequest,
    RebalanceRequest,
    check_plan,
    finish_plan,
    make_plan,
    require_known,
    start_plan,
)
from workmesh_flows.planning.stored_plan import StoredPlan
from workmesh_flows.tasks.context import move_context, this_run
from workmesh_flows.tasks.retries import is_transient
from workmesh_flows.tasks.tracebacks import hide_tracebacks


@task(name="plan", task_run_name="plan {service}", cache_policy=NO_CACHE)
def plan_moves(
    mesh: Mesh, service: str, request: RebalanceRequest | DrainRequest, excluded: Excluded
) -> StoredPlan:
    """Plan moves and save the plan."""
    with mesh_engine(mesh) as engine:
        return make_plan(engine, mesh, service, load_inventory().excluding(excluded), request)


@task(name="check names", cache_policy=NO_CACHE)
def check_names(mesh: Mesh, request: DrainRequest) -> None:
    """Raise UnknownName unless all nodes and pinned entities of the request are known."""
    with mesh_engine(mesh) as engine:
        require_known(engine, mesh.services, load_inventory(), request)


@task(name="check plan", task_run_name="check {plan}", cache_policy=NO_CACHE)
def check(mesh: Mesh, plan: str, excluded: Excluded) -> StoredPlan:
    """A saved plan; raises StalePlan or ConfigurationError where it cannot be applied now."""
    with mesh_engine(mesh) as engine:
        return check_plan(engine, mesh, plan, load_inventory().excluding(excluded)).plan


@task(name="start plan", task_run_name="start {plan}", cache_policy=NO_CACHE)
def start(mesh: Mesh, plan: str, excluded: Excluded) -> None:
    """Check that a plan is not stale and mark it as started; a plan that was started before is resumed."""
    with mesh_engine(mesh) as engine:
        start_plan(engine, mesh, plan, load_inventory().excluding(excluded))


@task(name="finish plan", task_run_name="finish {plan}", cache_policy=NO_CACHE)
def finish(mesh: Mesh, plan: str) -> None:
    """Mark a plan as applied."""
    with mesh_engine(mesh) as engine:
        finish_plan(engine, plan)


@task(name="set state", task_run_name="{node} is {state}", cache_policy=NO_CACHE)
def set_state(node: str, state: str) -> None:
    """Set the state of a node: active, draining or disabled."""
    set_node_state(node, NodeState(state))


@task(
    name="hand over",
    task_run_name="hand over from {source}, wave {wave}",
    cache_policy=NO_CACHE,
    retry_condition_fn=is_transient,
)
def hand_over(  # noqa: PLR0913, PLR0917 - each is part of the plan's step
    mesh: Mesh, service: str, plan: str, source: str, wave: int, repush: bool, excluded: Excluded
) -> MoveReport:
    """Make the moves of a plan that leave one node in one wave."""
    with _move_context(mesh, service, excluded) as context:
        saved = read_plan(context.engine, plan).plan
        return hand_over_wave(context, saved, wave, source, repush=repush)


@task(name="reassign", task_run_name="reassign {entity}", cache_policy=NO_CACHE)
def reassign(  # noqa: PLR0913, PLR0917 - each is part of the request
    mesh: Mesh, service: str, entity: str, another: bool, repush: bool, excluded: Excluded
) -> MoveReport:
    """Assign an entity to another node, or only make all its records pending again."""
    with _move_context(mesh, service, excluded) as context:
        key = entity_named(context.service, entity)
        return (
            operations.reassign(context, key, repush=repush) if another else operations.repush(context, key)
        )


@contextmanager
def _move_context(mesh: Mesh, service: str, excluded: Excluded) -> Iterator[MoveContext]:
    """The context in which entities move, with its steps in the run's log."""
    hide_tracebacks()
    with move_context(mesh, service, holder=this_run()) as context:
        yield replace(
            context,
            inventory=lambda: context.inventory().excluding(excluded),
            on_step=get_run_logger().debug,
            progress=lambda source, done, total: notify(f"{service}: entities from {source}", done, total),
        )
