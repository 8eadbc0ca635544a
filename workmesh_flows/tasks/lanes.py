"""Tasks: one a lane, thin around the operation. Names and numbers go in, a report comes out.

A finished lane is cached for its flow run, so that a flow run that is tried again redoes only the other lanes.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

from workmesh_flows.adapters.store.refused_decisions import Decision
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.domain.service import Mesh
from workmesh_flows.mesh_database import mesh_engine
from workmesh_flows.operations.delivery import replay
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.tasks.context import lane_context
from workmesh_flows.tasks.retries import is_transient, key_in_run, with_attempts


@task(
    name="push",
    task_run_name="push {protocol} to {node}",
    persist_result=True,
    cache_key_fn=key_in_run,
    retry_condition_fn=is_transient,
)
def push(  # noqa: PLR0913, PLR0917 - each is a fact of the lane's work
    mesh: Mesh, service: str, protocol: str, node: str, now: bool, bounds: RunLimits
) -> PushReport:
    """Send a lane's pending records."""
    with lane_context(mesh, service, protocol, node, "pushed", now=now) as work:

        def one_attempt(before: PushReport) -> PushReport:
            done = before.pushed + before.parked
            return push_lane(work, bounds.after(done, before.seconds))

        return with_attempts(PushReport(protocol, node), one_attempt)


@task(
    name="pull",
    task_run_name="pull {protocol} from {node}",
    persist_result=True,
    cache_key_fn=key_in_run,
    retry_condition_fn=is_transient,
)
def pull(mesh: Mesh, service: str, protocol: str, node: str, now: bool) -> PullReport:
    """Collect a lane's results."""
    with lane_context(mesh, service, protocol, node, "pulled", now=now) as work:
        return with_attempts(PullReport(protocol, node), lambda _: pull_lane(work))


@task(
    name="decide",
    task_run_name="{decision} refused records of {service}",
    persist_result=True,
    cache_key_fn=key_in_run,
)
def decide_refused(  # noqa: PLR0913, PLR0917 - each narrows the choice
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
        return replay.decide_refused(
            engine, declared, decision, protocols=chosen, records=records, entities=entities
        )
