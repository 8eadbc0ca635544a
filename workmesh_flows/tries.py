"""The tries of a lane in one run, told as one: Prefect begins a task anew, and its report would forget the tries before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from prefect.runtime import task_run

from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import WorkmeshError

R = TypeVar("R", PushReport, PullReport)

MOST = 1_000
"""Lanes of which it is kept what their last try did: those that are not tried again are forgotten in the end."""
_before: dict[str, PushReport | PullReport] = {}
"""By task run: Prefect tries a task again in the process in which it failed."""


def with_tries(nothing: R, work: Callable[[R], R]) -> R:
    """Work a lane; its report, also that of an error which ends it, counts what earlier tries of this task run did.

    ``work`` is told what they did; ``nothing`` is the report of a try that did nothing.
    """
    run = str(task_run.id)
    earlier = _before.pop(run, nothing)
    assert isinstance(earlier, type(nothing))  # noqa: S101 - a task run works one lane
    try:
        return work(earlier).after(earlier)
    except WorkmeshError as error:
        now = error.report if isinstance(error.report, type(nothing)) else nothing
        error.report = _before[run] = now.after(earlier)
        if len(_before) > MOST:
            del _before[next(iter(_before))]
        raise
