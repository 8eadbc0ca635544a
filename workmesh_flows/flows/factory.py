"""From a function to a flow: its name where Prefect looks for it, the names of its runs, and the state they end in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.runtime import flow_run
from prefect.states import Completed

from workmesh_flows.domain.service import Mesh
from workmesh_flows.flows.run_names import run_name
from workmesh_flows.flows.task_runners import make_runner
from workmesh_flows.observability.tags import tag_run
from workmesh_flows.runs.result import RunResult
from workmesh_flows.settings import read_settings
from workmesh_flows.tasks.tracebacks import hide_tracebacks

ServiceFlow: TypeAlias = Flow[..., RunResult]
"""Called, it gives its Outcome or raises one of our errors; its run ends in a state whose message says the same."""

MADE_UP = re.compile(r"[a-z]+-[a-z]+", re.IGNORECASE)
"""A run's name that Prefect made up, as in ``sandy-cockatoo`` or ``Generic-Quokka``; any other one was given by somebody, and is kept."""


def as_flow(mesh: Mesh, function: Callable[..., RunResult], subject: str, module: str) -> ServiceFlow:
    """The flow ``<subject>.<function>``, which a deployment finds as ``module:function``.

    The function is renamed before it becomes a flow: Prefect keeps where it found it.
    """
    hide_tracebacks()
    action = function.__name__
    function.__qualname__ = action
    function.__module__ = module
    runner: Any = make_runner(read_settings(), mesh)
    description = (function.__doc__ or "").partition("\n")[0]

    def name_of_run() -> str:
        given = flow_run.name or ""
        return run_name(action, subject, flow_run.parameters) if MADE_UP.fullmatch(given) else given

    made: ServiceFlow = flow(
        name=f"{subject}.{action}", task_runner=runner, description=description, flow_run_name=name_of_run
    )(function)
    return made


def run(action: Callable[..., RunResult], *arguments: Any, tags: Sequence[str] = ()) -> RunResult:  # noqa: ANN401 - the action's own
    """The state in which the run ends: its message is the sentence that people read; ``tags`` are added to the run's.

    To Prefect it is a state; whoever called the flow gets the outcome in it. A failure is raised, not returned as
    a state: Prefect tries a flow again only then. And a flow that succeeds when tried again in the same process
    gives its outcome plain: Prefect raises the first try's error over a state that is returned.
    """
    this = str(flow_run.id)
    tag_run(tags)
    try:
        with TagsContext(current_tags=set()):  # for a task with tags Prefect asks the server for a slot first
            outcome = action(*arguments)
    except Exception:
        _failed_here.add(this)
        raise
    state: State[Any] = Completed(message=outcome.message, data=outcome)
    return outcome if this in _failed_here else cast("RunResult", state)


_failed_here: set[str] = set()
"""Flow runs that failed in this process and may be tried again in it."""
