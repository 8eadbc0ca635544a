"""Retries of a lane within a run: when, how often, and one report over all attempts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from prefect.context import TaskRunContext
from prefect.tasks import exponential_backoff

from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import LaneStopped, StoreUnavailable, WorkmeshError
from workmesh_flows.settings import read_settings

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task
from collections.abc import Callable
from typing import TypeVar

from prefect.runtime import task_run


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether trying the lane again may help."""
    del task, run
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnavailable) or (isinstance(error, LaneStopped) and error.transient)


def with_retries(task: Task[..., Any]) -> Task[..., Any]:
    """A task that works lanes, with the settings' tries."""
    settings = read_settings()
    return task.with_options(
        retries=settings.lane_retries,
        retry_delay_seconds=exponential_backoff(settings.lane_retry_seconds),
        retry_jitter_factor=1,
    )


def key_in_run(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    """The lane, or the service, within its flow run; None, no caching, outside of one."""
    run = context.task_run.flow_run_id
    if run is None:
        return None
    named = [parameters[name] for name in ("service", "protocol", "node") if name in parameters]
    return "-".join(str(part) for part in ("workmesh", context.task.name, run, *named))


class _WithoutTraceback(logging.Filter):
    """Our own errors say all in their text: the trace of a lane that stopped would only bury it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], WorkmeshError):
            record.exc_info = record.exc_text = None
        return True


R = TypeVar("R", PushReport, PullReport)


MOST_REMEMBERED = 1_000
"""Lanes of which it is kept what their last try did: those that are not tried again are forgotten in the end."""


_earlier_attempts: dict[str, PushReport | PullReport] = {}
"""By task run: Prefect tries a task again in the process in which it failed."""


def with_attempts(nothing: R, work: Callable[[R], R]) -> R:
    """Work a lane; its report, also that of an error which ends it, counts what earlier tries of this task run did.

    ``work`` is told what they did; ``nothing`` is the report of a try that did nothing.
    """
    run = str(task_run.id)
    earlier = _earlier_attempts.pop(run, nothing)
    assert isinstance(earlier, type(nothing))  # noqa: S101 - a task run works one lane
    try:
        return work(earlier).after(earlier)
    except WorkmeshError as error:
        now = error.report if isinstance(error.report, type(nothing)) else nothing
        error.report = _earlier_attempts[run] = now.after(earlier)
        if len(_earlier_attempts) > MOST_REMEMBERED:
            del _earlier_attempts[next(iter(_earlier_attempts))]
        raise


for _name in ("prefect.task_runs", "prefect.flow_runs"):
    logging.getLogger(_name).addFilter(_WithoutTraceback())
