"""Tasks: one a lane, thin around the operation. Names and numbers go in, a report comes out.

A finished lane is cached for its flow run, so that a flow run that is tried again redoes only the other lanes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.runtime import flow_run
from prefect.tasks import exponential_backoff

from workmesh_flows.adapters.store.entities import entity_named
from workmesh_flows.adapters.store.refused_decisions import Decision
from workmesh_flows.domain.reports import AssignReport, PullReport, PushReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.engines import mesh_engine
from workmesh_flows.errors import LaneStopped, StoreUnavailable, WorkmeshError
from workmesh_flows.inventory import kept_inventory, load_inventory
from workmesh_flows.lane_progress import LaneProgress
from workmesh_flows.operations.assignment.assign import assign, assign_all, assign_entity, plan_only
from workmesh_flows.operations.delivery import replay
from workmesh_flows.operations.delivery.lane_context import Work
from workmesh_flows.operations.delivery.limits import Bounds
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.probe import Probe, probe_nodes
from workmesh_flows.parties import this_process
from workmesh_flows.planning.assignment.plan import AssignmentPlan
from workmesh_flows.settings import read_settings
from workmesh_flows.tries import with_tries

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

PROBE_SECONDS = 10


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether trying the lane again may help."""
    del task, run
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnavailable) or (isinstance(error, LaneStopped) and error.transient)


def patient(task: Task[..., Any]) -> Task[..., Any]:
    """A task that works lanes, with the settings' tries."""
    settings = read_settings()
    return task.with_options(
        retries=settings.lane_retries,
        retry_delay_seconds=exponential_backoff(settings.lane_retry_seconds),
        retry_jitter_factor=1,
    )


def this_run() -> str:
    """As those see it who find a lane held by it."""
    return f"{flow_run.name or 'a run'} on {this_process()}"


def key_in_run(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    """The lane, or the service, within its flow run; None, no caching, outside of one."""
    run = context.task_run.flow_run_id
    if run is None:
        return None
    named = [parameters[name] for name in ("service", "protocol", "node") if name in parameters]
    return "-".join(str(part) for part in ("workmesh", context.task.name, run, *named))


@task(name="assign", task_run_name="assign {service}", cache_policy=NO_CACHE)
def assign_entities(mesh: Mesh, service: str, limit: int | None) -> AssignReport:
    """Give each entity without a node one."""
    with mesh_engine(mesh) as engine:
        return assign(engine, mesh, service, load_inventory(), limit=limit)


@task(name="assign together", cache_policy=NO_CACHE)
def assign_together(mesh: Mesh) -> dict[str, AssignReport]:
    """Give each entity without a node one, for all services in one transaction."""
    with mesh_engine(mesh) as engine:
        return assign_all(engine, mesh, load_inventory())


@task(name="assign entity", task_run_name="assign {entity}", cache_policy=NO_CACHE)
def assign_one(mesh: Mesh, service: str, entity: str) -> str:
    """The node of one entity, which is given one if it has none."""
    with mesh_engine(mesh) as engine:
        key = entity_named(mesh.service(service), entity)
        return assign_entity(engine, mesh, service, load_inventory(), key)


@task(name="plan assignment", task_run_name="plan assignment {service}", cache_policy=NO_CACHE)
def plan_assign(mesh: Mesh, service: str, limit: int | None) -> AssignmentPlan:
    """Which node each entity without one would get; nothing is written."""
    with mesh_engine(mesh) as engine:
        return plan_only(engine, mesh, service, load_inventory(), limit=limit)


@task(
    name="push",
    task_run_name="push {protocol} to {node}",
    persist_result=True,
    cache_key_fn=key_in_run,
    retry_condition_fn=is_transient,
)
def push(  # noqa: PLR0913, PLR0917 - each is a fact of the lane's work
    mesh: Mesh, service: str, protocol: str, node: str, now: bool, bounds: Bounds
) -> PushReport:
    """Send a lane's pending records."""
    with lane_work(mesh, service, protocol, node, "pushed", now=now) as work:

        def one_try(before: PushReport) -> PushReport:
            done = before.pushed + before.parked
            return push_lane(work, bounds.after(done, before.seconds))

        return with_tries(PushReport(protocol, node), one_try)


@task(
    name="pull",
    task_run_name="pull {protocol} from {node}",
    persist_result=True,
    cache_key_fn=key_in_run,
    retry_condition_fn=is_transient,
)
def pull(mesh: Mesh, service: str, protocol: str, node: str, now: bool) -> PullReport:
    """Collect a lane's results."""
    with lane_work(mesh, service, protocol, node, "pulled", now=now) as work:
        return with_tries(PullReport(protocol, node), lambda _: pull_lane(work))


@task(
    name="decide",
    task_run_name="{decision} refused records of {service}",
    persist_result=True,
    cache_key_fn=key_in_run,
)
def decide_parked(  # noqa: PLR0913, PLR0917 - each narrows the choice
    mesh: Mesh,
    service: str,
    decision: Decision,
    records: Sequence[str],
    entities: Sequence[str],
    protocols: Sequence[str],
) -> int:
    """Replay or skip refused records, once a run: what was replayed is no more among the refused."""
    declared = mesh.service(service)
    chosen = [declared.protocol(protocol) for protocol in protocols]
    with mesh_engine(mesh) as engine:
        return replay.decide_parked(
            engine, declared, decision, protocols=chosen, records=records, entities=entities
        )


def probe_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """The nodes as they are addressed now."""
    del context
    targets = sorted(parameters["addresses"].items())
    return "workmesh-probe-" + hashlib.sha256(repr(targets).encode()).hexdigest()


@task(
    name="probe",
    task_run_name="probe the nodes",
    persist_result=True,
    cache_key_fn=probe_key,
    cache_expiration=timedelta(seconds=PROBE_SECONDS),
)
def probe(addresses: dict[str, str]) -> dict[str, Probe]:
    """Ping nodes, given by name with their addresses; what was found is good for some seconds."""
    inventory = load_inventory()
    return probe_nodes(node for name, node in inventory.nodes.items() if name in addresses)


class _OneLine(logging.Filter):
    """Our own errors say all in their text: the trace of a lane that stopped would only bury it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], WorkmeshError):
            record.exc_info = record.exc_text = None
        return True


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_OneLine())


@contextmanager
def lane_work(  # noqa: PLR0913 - each is a fact of the lane's work
    mesh: Mesh, service: str, protocol: str, node: str, verb: str, *, now: bool
) -> Iterator[Work]:
    """Everything a lane needs, opened here and closed at the end."""
    declared = mesh.service(service)
    with mesh_engine(mesh) as engine, closing(LaneProgress(f"{protocol}, node {node}", verb)) as progress:
        yield Work(
            engine,
            declared,
            declared.protocol(protocol),
            kept_inventory().node(node),
            holder=this_run(),
            limits=read_settings().limits,
            progress=progress,
            now=now,
        )
