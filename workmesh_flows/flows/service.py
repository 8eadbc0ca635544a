"""The flows of a service: assign, push, pull, sync, replay, rebalance, status; and of the whole mesh: assign, drain.

A deployment file is a few lines:

    from my_saas.mesh import mesh
    from workmesh_flows.flows.service import service_flows

    flows = service_flows(mesh, "micro.emails.timeline", module=__name__)
    assign, push, pull, sync = flows.assign, flows.push, flows.pull, flows.sync
    replay, rebalance, status = flows.replay, flows.rebalance, flows.status
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows.factory import ServiceFlow, as_flow, run
from workmesh_flows.flows.form_types import Bound, NodeName, Seconds
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.moves.plan import RebalanceRequest
from workmesh_flows.planning.moves import Objective
from workmesh_flows.runs import assign as assigning
from workmesh_flows.runs import lanes, moves
from workmesh_flows.runs.finish import count_only
from workmesh_flows.runs.moves import MoveOptions
from workmesh_flows.runs.result import RunResult


@dataclass(frozen=True, slots=True)
class ServiceFlows:
    """The flows of one service, each named ``<service>.<action>``."""

    assign: ServiceFlow
    push: ServiceFlow
    pull: ServiceFlow
    sync: ServiceFlow
    replay: ServiceFlow
    rebalance: ServiceFlow
    status: ServiceFlow


def service_flows(mesh: Mesh, name: str, *, module: str) -> ServiceFlows:
    """The flows of a service, to be bound in ``module`` under the names of `ServiceFlows`.

    Prefect finds a flow of a deployment by module and name, which is why it must know the module: pass
    ``__name__``. Raises UnknownName for a service that the mesh does not have.
    """
    service = mesh.service(name)
    names = tuple(protocol.name for protocol in service.protocols)
    choice: Any = Literal[names] if names else str

    def assign(
        dry_run: bool = False,
        entities: list[str] = [],  # noqa: B006
        limit: Bound = 0,
        reassign: bool = False,
        repush: bool = False,
    ) -> RunResult:
        """Give each entity without a node one, by the service's criterion and within the caps of the nodes.

        Args:
            dry_run: Only show which node each entity without one would get. Leave entities empty then.
            entities: Only these entities, one key per item. No item: all that have no node.
            limit: At most this many entities. 0: all that have no node.
            reassign: Give the entities named above another node. Without room elsewhere the old one stands.
            repush: Send all data of the entities named above again, from the beginning.
        """
        how = assigning.AssignRequest(
            entities, limit or None, reassign=reassign, repush=repush, dry_run=dry_run
        )
        return run(assigning.assign, mesh, name, how)

    def push(
        nodes: list[NodeName] = [],  # noqa: B006
        protocols: list[str] = [],  # noqa: B006
        limit: Bound = 0,
        seconds: Seconds = 0,
        now: bool = False,
    ) -> RunResult:
        """Send pending records to their nodes, in order; lanes of different nodes side by side.

        Args:
            nodes: Only these nodes. No item: all that hold entities.
            protocols: Only these protocols. None chosen: all, in declared order.
            limit: At most this many records per lane (one protocol to one node). 0: all that wait when it begins.
            seconds: Begin no batch after this many seconds in a lane. 0: go on until all is sent.
            now: Ask nodes at once, even those in a pause: they were away too often, or asked for it.
        """
        return run(
            lanes.push,
            mesh,
            name,
            lanes.LaneSelection(nodes, protocols, now),
            RunLimits(limit or None, seconds or None),
        )

    def pull(
        nodes: list[NodeName] = [],  # noqa: B006
        protocols: list[str] = [],  # noqa: B006
        now: bool = False,
    ) -> RunResult:
        """Collect the results of the records that the nodes have processed.

        Args:
            nodes: Only these nodes. No item: all that hold entities.
            protocols: Only these protocols. None chosen: all, in declared order.
            now: Ask nodes at once, even those in a pause: they were away too often, or asked for it.
        """
        return run(lanes.pull, mesh, name, lanes.LaneSelection(nodes, protocols, now))

    def sync(
        nodes: list[NodeName] = [],  # noqa: B006
        protocols: list[str] = [],  # noqa: B006
        limit: Bound = 0,
        seconds: Seconds = 0,
        now: bool = False,
    ) -> RunResult:
        """Assign, push and pull, one after the other.

        Args:
            nodes: Push to and pull from only these nodes. No item: all that hold entities.
            protocols: Only these protocols. None chosen: all, in declared order.
            limit: Push at most this many records per lane (one protocol to one node). 0: all that wait when it begins.
            seconds: Push no batch after this many seconds in a lane. 0: go on until all is sent.
            now: Ask nodes at once, even those in a pause: they were away too often, or asked for it.
        """
        return run(
            lanes.sync,
            mesh,
            name,
            lanes.LaneSelection(nodes, protocols, now),
            RunLimits(limit or None, seconds or None),
        )

    def replay(
        records: list[str] = [],  # noqa: B006
        entities: list[str] = [],  # noqa: B006
        protocols: list[str] = [],  # noqa: B006
        skip: bool = False,
        push: bool = True,
    ) -> RunResult:
        """Decide about records that were set aside after their last refusal: send them again, or skip them.

        Args:
            records: Only these records, one id per item. No item, and no entities either: all that wait for a decision.
            entities: Only the refused records of these entities, one key per item.
            protocols: Only these protocols. None chosen: all.
            skip: Do not send the records named above any more; what waits behind them goes on.
            push: Push all lanes of these protocols afterwards.
        """
        asked = lanes.ReplayRequest(records, entities, protocols, skip=skip, push=push)
        return run(lanes.replay, mesh, name, asked)

    def rebalance(  # noqa: PLR0913, PLR0917 - each is a field of the form
        dry_run: bool = True,
        plan: str = "",
        tolerance: Annotated[float, Field(ge=0, le=1)] = 0.01,
        objective: Objective = "weight",
        emergency: bool = False,
        sources: list[NodeName] = [],  # noqa: B006
        pinned: list[str] = [],  # noqa: B006
        max_moves: Bound = 0,
        at_once: Bound = 0,
        repush: bool = False,
    ) -> RunResult:
        """Even out the nodes with as little movement as it takes; as a dry run, only show the plan.

        Args:
            dry_run: Only show and keep the plan. Turn it off to move entities.
            plan: The id of a plan that a dry run made (artifact workmesh-plan): that one is applied, or refused if it is stale. Empty: a new one is made.
            tolerance: How far above its even share a node may be, from 0 to 1: 0.01 is 1 %.
            objective: weight: move the least weight. moves: make the fewest moves.
            emergency: Only relieve nodes that are over a cap.
            sources: Only move entities away from these nodes. No item: from any.
            pinned: Entities that stay where they are, one key per item.
            max_moves: At most this many moves. 0: as many as it takes.
            at_once: At most this many moves out of a node, and into a node, at a time. 0: as the caps allow.
            repush: Send all data of the moved entities again, from the beginning, not only what was not pulled.
        """
        asked = RebalanceRequest(
            tolerance, objective, emergency, sources, pinned, max_moves or None, at_once or None
        )
        return run(moves.rebalance, mesh, name, asked, plan, MoveOptions(dry_run, repush))

    def status() -> RunResult:
        """Count what is where, what waits and what failed, and publish both tables."""
        return run(count_only, mesh, name)

    for function in (push, pull, sync, replay):
        function.__annotations__["protocols"] = list[choice]

    def made(function: Callable[..., RunResult]) -> ServiceFlow:
        return as_flow(mesh, function, name, module)

    return ServiceFlows(
        assign=made(assign),
        push=made(push),
        pull=made(pull),
        sync=made(sync),
        replay=made(replay),
        rebalance=made(rebalance),
        status=made(status),
    )
