"""From a form to a flow: where Prefect finds it, the names of its runs, and the state they end in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.runtime import flow_run
from prefect.states import Completed

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows.binding import Form, bind_form
from workmesh_flows.flows.run_names import run_name
from workmesh_flows.flows.task_runners import make_runner
from workmesh_flows.observability.tags import tag_run
from workmesh_flows.runs.result import RunResult
from workmesh_flows.settings import read_settings
from workmesh_flows.tasks.tracebacks import hide_tracebacks

ServiceFlow: TypeAlias = Flow[..., RunResult]
"""Returns a RunResult or raises a WorkmeshError; the message of the run's state is the same sentence."""

GENERATED_NAME = re.compile(r"[a-z]+-[a-z]+", re.IGNORECASE)
"""A run name that Prefect generated, such as ``sandy-cockatoo`` or ``Generic-Quokka``; any other name is kept."""

NO_TYPES: Mapping[str, Any] = {}


def as_flow(
    form: Form, mesh: Mesh, service: str | None = None, *, module: str, types: Mapping[str, Any] = NO_TYPES
) -> ServiceFlow:
    """The flow ``<service>.<form>``, or ``mesh.<form>`` without a service; a deployment finds it as ``module:form``.

    ``types`` replace those of the form's fields that depend on the service.
    """
    hide_tracebacks()
    subject, arguments = ("mesh", [mesh]) if service is None else (service, [mesh, service])
    action = form.__name__
    runner: Any = make_runner(read_settings(), mesh)

    def name_of_run() -> str:
        given = flow_run.name or ""
        return run_name(action, subject, flow_run.parameters) if GENERATED_NAME.fullmatch(given) else given

    made: ServiceFlow = flow(
        name=f"{subject}.{action}",
        task_runner=runner,
        description=(form.__doc__ or "").partition("\n")[0],
        flow_run_name=name_of_run,
    )(bind_form(form, arguments, types, module))
    return made


def run(action: Callable[..., RunResult], *arguments: Any, tags: Sequence[str] = ()) -> RunResult:  # noqa: ANN401 - the action's own
    """Run the action of a flow run; the run's state gets the result's message. ``tags`` are added to the run's.

    Returns a state to Prefect, which gives the caller of the flow the RunResult in it. A failure is raised, since
    Prefect retries a flow only after an exception. A flow that succeeds when Prefect retries it in the same process
    returns the plain result: instead of a returned state, Prefect would raise the error of the first attempt.
    """
    this = str(flow_run.id)
    tag_run(tags)
    try:
        with TagsContext(current_tags=set()):  # for a task with tags Prefect asks the server for a slot first
            result = action(*arguments)
    except Exception:
        _failed_runs.add(this)
        raise
    state: State[Any] = Completed(message=result.message, data=result)
    return result if this in _failed_runs else cast("RunResult", state)


_failed_runs: set[str] = set()
"""Ids of flow runs that failed in this process. Global state: Prefect calls the same flow again for a retry, and gives
it nothing by which to tell a retry in this process from one in another process, which has to return a state."""
