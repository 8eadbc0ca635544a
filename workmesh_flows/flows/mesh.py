"""The flows of a whole mesh: assign, drain."""

from __future__ import annotations

from dataclasses import dataclass

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows.factory import ServiceFlow, as_flow, run
from workmesh_flows.flows.form_types import Bound, NodeName
from workmesh_flows.observability.tags import service_tag
from workmesh_flows.operations.moves.plan import DrainRequest
from workmesh_flows.runs import assign as assigning
from workmesh_flows.runs import moves
from workmesh_flows.runs.moves import MoveOptions
from workmesh_flows.runs.result import RunResult


@dataclass(frozen=True, slots=True)
class MeshFlows:
    """The flows of a mesh that are not one service's, each named ``mesh.<action>``."""

    assign: ServiceFlow
    drain: ServiceFlow


def mesh_flows(mesh: Mesh, *, module: str) -> MeshFlows:
    """The flows of a mesh, to be bound in ``module`` under the names of `MeshFlows`."""
    tags = [service_tag(service.name) for service in mesh.services]  # such a run is about each of them

    def assign() -> RunResult:
        """Give each entity without a node one, for all services together: none takes another one's last room."""
        return run(assigning.assign_mesh, mesh, tags=tags)

    def drain(  # noqa: PLR0913, PLR0917 - each is a field of the form
        nodes: list[NodeName],
        dry_run: bool = True,
        plan: str = "",
        revoke: bool = False,
        pinned: list[str] = [],  # noqa: B006
        max_moves: Bound = 0,
        at_once: Bound = 0,
        repush: bool = False,
    ) -> RunResult:
        """Empty nodes, for all their services; as a dry run, only show the plans.

        Args:
            nodes: The nodes to empty, one at least. They take nothing new from then on.
            dry_run: Only show and keep the plans. Turn it off to drain.
            plan: The id of a plan that a dry run made (artifact workmesh-plan): that one is applied, or refused if it is stale. Empty: a new one is made.
            revoke: Undo a drain: these nodes take entities again, and a drain that runs stops. What was moved stays. The other fields are ignored.
            pinned: Entities that stay where they are, one key per item.
            max_moves: At most this many moves per service. 0: as many as it takes.
            at_once: At most this many moves out of a node, and into a node, at a time. 0: as the caps allow.
            repush: Send all data of the moved entities again, from the beginning, not only what was not pulled.
        """
        if revoke:
            return run(moves.revoke, mesh, nodes, tags=tags)
        asked = DrainRequest(nodes, pinned, max_moves or None, at_once or None)
        return run(moves.drain, mesh, asked, plan, MoveOptions(dry_run, repush), tags=tags)

    return MeshFlows(as_flow(mesh, assign, "mesh", module), as_flow(mesh, drain, "mesh", module))
