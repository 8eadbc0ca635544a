"""Tasks that push or pull a lane, and the task that decides about parked records.

Their results are cached within the flow run: a retried flow run does not repeat the lanes that finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

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
def push(  # noqa: PLR0913, PLR0917 - each identifies the lane or limits the run
    mesh: Mesh, service: str, protocol: str, node: str, now: bool, limits: RunLimits
) -> PushReport:
    """Send the pending records of a lane."""
    with lane_context(mesh, service, protocol, node, "push", now=now) as context:

        def one_attempt(earlier: PushReport, started: datetime) -> PushReport:
            done = earlier.pushed + earlier.refused + earlier.parked
            return push_lane(replace(context, started=started), limits.after(done, earlier.seconds))

        return with_attempts(PushReport(protocol, node), context.clock(), one_attempt)


@task(
    name="pull",
    task_run_name="pull {protocol} from {node}",
    persist_result=True,
    cache_key_fn=key_in_run,
    retry_condition_fn=is_transient,
)
def pull(mesh: Mesh, service: str, protocol: str, node: str, now: bool) -> PullReport:
    """Pull the results of a lane."""
    with lane_context(mesh, service, protocol, node, "pull", now=now) as context:
        return with_attempts(PullReport(protocol, node), context.clock(), lambda *_: pull_lane(context))


@task(
    name="decide",
    task_run_name="{decision} records of {service}",
    persist_result=True,
    cache_key_fn=key_in_run,
)
def decide_refused(  # noqa: PLR0913, PLR0917 - each narrows the selection
    mesh: Mesh,
    service: str,
    decision: Decision,
    records: Sequence[str],
    entities: Sequence[str],
    protocols: Sequence[str],
    failed: bool,
) -> int:
    """Replay or skip refused or failed records; return their number, cached, since a second call would not find them."""
    declared = mesh.service(service)
    selected = [declared.protocol(protocol) for protocol in protocols]
    with mesh_engine(mesh) as engine:
        return replay.decide_refused(
            engine,
            declared,
            decision,
            protocols=selected,
            records=records,
            entities=entities,
            failed=failed,
        )
