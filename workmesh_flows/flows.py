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
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from workmesh_flows import running
from workmesh_flows.domain.service import Mesh
from workmesh_flows.errors import WorkmeshError
from workmesh_flows.running import Outcome
from workmesh_flows.settings import read_settings

ServiceFlow: TypeAlias = Flow[..., Outcome]
"""Called, it runs and gives its Outcome, or raises one of our errors; as a run, it ends in a state that says so."""

Nodes = Annotated[
    list[str],
    Field(description="Only these nodes, by name. Empty: all that hold entities."),
]
Limit = Annotated[
    int | None,
    Field(ge=1, description="At most so many records a lane. None: all that wait when the lane begins."),
]
Entities = Annotated[
    int | None, Field(ge=1, description="At most so many entities. None: all that have no node.")
]


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
    protocols: Any = Annotated[
        list[choice], Field(description="Only these protocols. Empty: all, in declared order.")
    ]

    def assign(limit: Entities = None) -> Outcome:
        """Give each entity without a node one, by the service's criterion and within the caps of the nodes."""
        return _ended(running.assign, mesh, name, limit)

    def push(nodes: Nodes = [], protocols: list[str] = [], limit: Limit = None) -> Outcome:  # noqa: B006
        """Send pending records to their nodes, in order; lanes of different nodes side by side."""
        return _ended(running.push, mesh, name, nodes, protocols, limit)

    def pull(nodes: Nodes = [], protocols: list[str] = []) -> Outcome:  # noqa: B006
        """Collect the results of the records that the nodes have processed."""
        return _ended(running.pull, mesh, name, nodes, protocols)

    def sync(nodes: Nodes = [], protocols: list[str] = [], limit: Limit = None) -> Outcome:  # noqa: B006
        """Assign, push and pull, one after the other."""
        return _ended(running.sync, mesh, name, nodes, protocols, limit)

    def status() -> Outcome:
        """Count what is where, what waits and what failed, and publish both tables."""
        return _ended(running.status, mesh)

    for function in (push, pull, sync):
        function.__annotations__["protocols"] = protocols

    def made(function: Callable[..., Outcome]) -> ServiceFlow:
        return _as_flow(function, f"{name}.{function.__name__}", module)

    return ServiceFlows(made(assign), made(push), made(pull), made(sync), made(status))


def _as_flow(function: Callable[..., Outcome], name: str, module: str) -> ServiceFlow:
    """A flow that a deployment finds as ``module:function``: the function is renamed before it becomes a flow."""
    function.__qualname__ = function.__name__
    function.__module__ = module
    runner: Any = ThreadPoolTaskRunner(max_workers=read_settings().lanes_at_once)
    made: ServiceFlow = flow(name=name, task_runner=runner, description=function.__doc__)(function)
    return made


def _ended(run: Callable[..., Outcome], *arguments: Any) -> Outcome:
    """The state in which the run ends: its message is the sentence that people read.

    To Prefect it is a state; whoever called the flow gets the outcome in it, or its error.
    """
    try:
        outcome = run(*arguments)
        state: State[Any] = Completed(message=outcome.message, data=outcome)
    except WorkmeshError as error:
        state = Failed(message=str(error), data=error)
    return cast("Outcome", state)
