"""The forms of a mesh's flows. Each is a plain function; its parameters after the first are the form's fields."""

from __future__ import annotations

from functools import partial

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows import form_fields as fields
from workmesh_flows.flows.factory import run
from workmesh_flows.flows.form_types import EMPTY
from workmesh_flows.observability.tags import service_tag
from workmesh_flows.operations.moves.plan import DrainRequest
from workmesh_flows.runs import assign as assigning
from workmesh_flows.runs import doctor as examining
from workmesh_flows.runs import moves
from workmesh_flows.runs import prune as pruning
from workmesh_flows.runs.moves import MoveOptions
from workmesh_flows.runs.result import RunResult


def assign(mesh: Mesh, force: fields.Force = False) -> RunResult:
    """Assign each entity without a node to one, for all services together, so that they share the free capacity fairly."""
    return run(partial(assigning.assign_mesh, force=force), mesh, tags=_service_tags(mesh))


def drain(  # noqa: PLR0913, PLR0917 - each is a field of the form
    mesh: Mesh,
    nodes: fields.DrainedNodes,
    dry_run: fields.DryMoves = True,
    plan: fields.PlanId = "",
    revoke: fields.Revoke = False,
    pinned: fields.Pinned = EMPTY,
    max_moves: fields.MaxMoves = 0,
    at_once: fields.AtOnce = 0,
    repush: fields.RepushMoved = False,
    force: fields.Force = False,
) -> RunResult:
    """Empty nodes, for all their services; a dry run only shows the plans."""
    if revoke:
        return run(moves.revoke, mesh, nodes, tags=_service_tags(mesh))
    asked = DrainRequest(nodes, pinned, max_moves or None, at_once or None)
    options = MoveOptions(dry_run, repush, force)
    return run(moves.drain, mesh, asked, plan, options, tags=_service_tags(mesh))


def doctor(mesh: Mesh) -> RunResult:
    """Check settings, server, deployments, workers, database and nodes; the run fails if there is a problem."""
    return run(examining.doctor, mesh, tags=_service_tags(mesh))


def prune(mesh: Mesh, older_than: fields.OlderThan = "", dry_run: fields.DryPrune = False) -> RunResult:
    """Delete old runs, versions of artifacts, and rows of the Workmesh tables that nothing needs any more."""
    return run(partial(pruning.prune, dry_run=dry_run), mesh, older_than, tags=_service_tags(mesh))


def _service_tags(mesh: Mesh) -> list[str]:
    """A run of the mesh concerns all its services."""
    return [service_tag(service.name) for service in mesh.services]
