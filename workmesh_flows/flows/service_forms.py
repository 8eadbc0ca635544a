"""The forms of a service's flows. Each is a plain function; its parameters after the first two are the form's fields."""

from __future__ import annotations

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows import form_fields as fields
from workmesh_flows.flows.factory import run
from workmesh_flows.flows.form_types import EMPTY
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.moves.plan import RebalanceRequest
from workmesh_flows.runs import assign as assigning
from workmesh_flows.runs import lanes, moves
from workmesh_flows.runs.finish import count_only
from workmesh_flows.runs.moves import MoveOptions
from workmesh_flows.runs.result import RunResult


def assign(  # noqa: PLR0913, PLR0917 - each is a field of the form
    mesh: Mesh,
    service: str,
    dry_run: fields.DryAssign = False,
    entities: fields.AssignedEntities = EMPTY,
    limit: fields.EntityLimit = 0,
    reassign: fields.Reassign = False,
    repush: fields.RepushEntities = False,
    force: fields.Force = False,
) -> RunResult:
    """Assign each entity without a node to one, by the service's criterion and within the nodes' caps."""
    asked = assigning.AssignRequest(
        entities, limit or None, reassign=reassign, repush=repush, dry_run=dry_run, force=force
    )
    return run(assigning.assign, mesh, service, asked)


def push(  # noqa: PLR0913, PLR0917 - each is a field of the form
    mesh: Mesh,
    service: str,
    nodes: fields.Nodes = EMPTY,
    protocols: fields.Protocols[str] = EMPTY,
    limit: fields.RecordLimit = 0,
    seconds: fields.PushSeconds = 0,
    now: fields.Now = False,
) -> RunResult:
    """Send pending records to their nodes, in order; lanes of different nodes run in parallel."""
    chosen = lanes.LaneSelection(nodes, protocols, now)
    return run(lanes.push, mesh, service, chosen, RunLimits(limit or None, seconds or None))


def pull(
    mesh: Mesh,
    service: str,
    nodes: fields.Nodes = EMPTY,
    protocols: fields.Protocols[str] = EMPTY,
    now: fields.Now = False,
) -> RunResult:
    """Pull the results of the records that the nodes have processed."""
    return run(lanes.pull, mesh, service, lanes.LaneSelection(nodes, protocols, now))


def sync(  # noqa: PLR0913, PLR0917 - each is a field of the form
    mesh: Mesh,
    service: str,
    nodes: fields.Nodes = EMPTY,
    protocols: fields.Protocols[str] = EMPTY,
    limit: fields.RecordLimit = 0,
    seconds: fields.PushSeconds = 0,
    now: fields.Now = False,
) -> RunResult:
    """Assign, then push, then pull."""
    chosen = lanes.LaneSelection(nodes, protocols, now)
    return run(lanes.sync, mesh, service, chosen, RunLimits(limit or None, seconds or None))


def replay(  # noqa: PLR0913, PLR0917 - each is a field of the form
    mesh: Mesh,
    service: str,
    records: fields.Records = EMPTY,
    entities: fields.RefusedEntities = EMPTY,
    protocols: fields.Protocols[str] = EMPTY,
    failed: fields.FailedRecords = False,
    skip: fields.Skip = False,
    push: fields.PushAfterwards = True,
) -> RunResult:
    """Send parked and blocking records, or failed ones, again, all or the named ones; or skip the named refused ones."""
    asked = lanes.ReplayRequest(records, entities, protocols, failed=failed, skip=skip, push=push)
    return run(lanes.replay, mesh, service, asked)


def rebalance(  # noqa: PLR0913, PLR0917 - each is a field of the form
    mesh: Mesh,
    service: str,
    dry_run: fields.DryMoves = True,
    plan: fields.PlanId = "",
    tolerance: fields.Tolerance = 0.01,
    objective: fields.Objective = "weight",
    emergency: fields.Emergency = False,
    sources: fields.Sources = EMPTY,
    pinned: fields.Pinned = EMPTY,
    max_moves: fields.MaxMoves = 0,
    at_once: fields.AtOnce = 0,
    repush: fields.RepushMoved = False,
    force: fields.Force = False,
) -> RunResult:
    """Even out the nodes, moving as little weight as possible; a dry run only shows the plan."""
    asked = RebalanceRequest(
        tolerance, objective, emergency, sources, pinned, max_moves or None, at_once or None
    )
    return run(moves.rebalance, mesh, service, asked, plan, MoveOptions(dry_run, repush, force))


def status(mesh: Mesh, service: str) -> RunResult:
    """Count assigned, pending, failed and processed records, and publish the tables of nodes and services."""
    return run(count_only, mesh, service)
