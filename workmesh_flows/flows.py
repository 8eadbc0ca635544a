"""The flows of a service: assign, push, pull, sync and status, made from its declaration.

A deployment file is four lines:

    from my_saas.mesh import mesh
    from workmesh_flows.flows import service_flows

    flows = service_flows(mesh, "micro.emails.timeline", module=__name__)
    assign, push, pull, sync, status = flows.assign, flows.push, flows.pull, flows.sync, flows.status
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, cast

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from workmesh_flows import running
from workmesh_flows.domain.service import Mesh
from workmesh_flows.running import Outcome
from workmesh_flows.settings import read_settings

ServiceFlow: TypeAlias = Flow[..., Outcome]
"""Called, it gives its Outcome or raises one of our errors; its run ends in a state whose message says the same."""

Limit: TypeAlias = Annotated[int | None, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class ServiceFlows:
    """The flows of one service, each named ``<service>.<action>``."""

    assign: ServiceFlow
    push: ServiceFlow
    pull: ServiceFlow
    sync: ServiceFlow
    status: ServiceFlow


def service_flows(mesh: Mesh, name: str, *, module: str) -> ServiceFlows:
    """The flows of a service, to be bound in ``module`` under the names assign, push, pull, sync and status.

    Prefect finds a flow of a deployment by module and name, which is why it must know the module: pass
    ``__name__``. Raises UnknownName for a service that the mesh does not have.
    """
    service = mesh.service(name)
    names = tuple(protocol.name for protocol in service.protocols)
    choice: Any = Literal[names] if names else str

    def assign(limit: Limit = None) -> Outcome:
        """Give each entity without a node one, by the service's criterion and within the caps of the nodes.

        Args:
            limit: At most so many entities. None: all that have no node.
        """
        return _run(running.assign, mesh, name, limit)

    def push(nodes: list[str] = [], protocols: list[str] = [], limit: Limit = None) -> Outcome:  # noqa: B006
        """Send pending records to their nodes, in order; lanes of different nodes side by side.

        Args:
            nodes: Only these nodes, by name. Empty: all that hold entities.
            protocols: Only these protocols. Empty: all, in declared order.
            limit: At most so many records a lane. None: all that wait when the lane begins.
        """
        return _run(running.push, mesh, name, nodes, protocols, limit)

    def pull(nodes: list[str] = [], protocols: list[str] = []) -> Outcome:  # noqa: B006
        """Collect the results of the records that the nodes have processed.

        Args:
            nodes: Only these nodes, by name. Empty: all that hold entities.
            protocols: Only these protocols. Empty: all, in declared order.
        """
        return _run(running.pull, mesh, name, nodes, protocols)

    def sync(nodes: list[str] = [], protocols: list[str] = [], limit: Limit = None) -> Outcome:  # noqa: B006
        """Assign, push and pull, one after the other.

        Args:
            nodes: Push to and pull from only these nodes, by name. Empty: all that hold entities.
            protocols: Only these protocols. Empty: all, in declared order.
            limit: Push at most so many records a lane. None: all that wait when the lane begins.
        """
        return _run(running.sync, mesh, name, nodes, protocols, limit)

    def status() -> Outcome:
        """Count what is where, what waits and what failed, and publish both tables."""
        return _run(running.status, mesh)

    for function in (push, pull, sync):
        function.__annotations__["protocols"] = list[choice]

    def made(function: Callable[..., Outcome]) -> ServiceFlow:
        return _as_flow(function, f"{name}.{function.__name__}", module)

    return ServiceFlows(made(assign), made(push), made(pull), made(sync), made(status))


def _as_flow(function: Callable[..., Outcome], name: str, module: str) -> ServiceFlow:
    """A flow that a deployment finds as ``module:function``: the function is renamed before it becomes a flow."""
    function.__qualname__ = function.__name__
    function.__module__ = module
    runner: Any = ThreadPoolTaskRunner(max_workers=read_settings().lanes_at_once)
    description = (function.__doc__ or "").partition("\n")[0]
    made: ServiceFlow = flow(name=name, task_runner=runner, description=description)(function)
    return made


def _run(action: Callable[..., Outcome], *arguments: Any) -> Outcome:  # noqa: ANN401 - the action's own
    """The state in which the run ends: its message is the sentence that people read.

    To Prefect it is a state; whoever called the flow gets the outcome in it. A failure is raised, not returned as
    a state: Prefect tries a flow again only then. And a flow that succeeds when tried again in the same process
    gives its outcome plain: Prefect raises the first try's error over a state that is returned.
    """
    this = str(flow_run.id)
    try:
        outcome = action(*arguments)
    except Exception:
        _failed_here.add(this)
        raise
    state: State[Any] = Completed(message=outcome.message, data=outcome)
    return outcome if this in _failed_here else cast("Outcome", state)


_failed_here: set[str] = set()
"""Flow runs that failed in this process and may be tried again in it."""
