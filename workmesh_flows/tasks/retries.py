"""Retries of a task within a run: when, how often, and one report over all attempts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from time import sleep
from typing import TYPE_CHECKING, Any, TypeVar

from prefect.context import TaskRunContext
from prefect.runtime import task_run
from prefect.tasks import exponential_backoff

from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import (
    LanePaused,
    LaneStopped,
    StoreError,
    StoreUnavailable,
    WorkmeshError,
)
from workmesh_flows.settings import read_settings

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

R = TypeVar("R", PushReport, PullReport)


def is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a retry may help: the condition by which Prefect retries a task."""
    del task, run
    error = state.result(raise_on_failure=False)
    return isinstance(error, StoreUnavailable) or (isinstance(error, LaneStopped) and error.transient)


def with_retries(task: Task[..., Any]) -> Task[..., Any]:
    """The task with as many retries as the settings allow, after a jittered exponential back-off."""
    settings = read_settings()
    return task.with_options(
        retries=settings.lane_retries,
        retry_delay_seconds=exponential_backoff(settings.lane_retry_seconds),
        retry_jitter_factor=1,
    )


def key_in_run(context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    """A cache key: the lane, or the service, within its flow run; None, which means no caching, outside of one."""
    run = context.task_run.flow_run_id
    if run is None:
        return None
    names = [parameters[name] for name in ("service", "protocol", "node") if name in parameters]
    return "-".join(str(part) for part in ("workmesh", context.task.name, run, *names))


_earlier_attempts: dict[str, tuple[datetime, PushReport | PullReport]] = {}
"""When task runs began, and the reports of their failed attempts, by id of the task run.

A module global, because Prefect retries a task in the same process and hands nothing from one attempt to the next.
"""

MARGIN = 0.05
"""Seconds added to a pause, so that the lane is ready after it."""

EARLIER_ATTEMPTS = 1_000
"""Number of unfinished lane reports kept; the oldest are dropped."""


def with_attempts(empty: R, clock: Clock, attempt: Callable[[R, datetime], R]) -> R:
    """Run an attempt of a lane; its report, or that of its error, includes earlier attempts of this task run.

    ``attempt`` gets the report of the earlier attempts, and when the first one began; ``empty`` is the report of an
    attempt that did nothing. A pause of the lane that is shorter than the retries of the run would take is waited for,
    and counts as time of the run; after progress, the next pause may take as long again.
    """
    run = str(task_run.id)
    started, earlier = _earlier_attempts.pop(run) if run in _earlier_attempts else (clock(), empty)
    assert isinstance(earlier, type(empty))  # noqa: S101 - a task run processes one lane
    left = patience()
    while True:
        try:
            return attempt(earlier, started).after(earlier)
        except WorkmeshError as error:
            partial = error.report if isinstance(error.report, type(empty)) else empty
            error.report = merged = partial.after(earlier)
            if _succeeded(partial):
                left = patience()
            pause = _pause(error, clock)
            if pause is None or pause > left:
                _keep(run, started, merged)
                raise
        left -= pause
        earlier = replace(merged, seconds=merged.seconds + pause)
        sleep(pause)


def _keep(run: str, started: datetime, report: PushReport | PullReport) -> None:
    _earlier_attempts[run] = started, report
    if len(_earlier_attempts) > EARLIER_ATTEMPTS:
        del _earlier_attempts[next(iter(_earlier_attempts))]


def _succeeded(report: PushReport | PullReport) -> int:
    return report.pushed if isinstance(report, PushReport) else report.pulled


def patience() -> float:
    """How long the pauses between all retries of a lane take together, without jitter."""
    settings = read_settings()
    return settings.lane_retry_seconds * float(2**settings.lane_retries - 1)


def _pause(error: WorkmeshError, clock: Clock) -> float | None:
    """Seconds until the pause of the lane ends, that the node asked for; None if it asked for none."""
    if not isinstance(error, LanePaused | LaneStopped) or not error.asked or error.until is None:
        return None
    with suppress(StoreError):
        return max((error.until - clock()).total_seconds(), 0) + MARGIN
    return None
