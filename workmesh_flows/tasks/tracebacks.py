"""Tracebacks of expected errors are kept out of the logs of runs."""

from __future__ import annotations

import logging

from workmesh_flows.errors import WorkmeshError


class _WithoutTraceback(logging.Filter):
    """Drops the traceback of a WorkmeshError: its text is complete, and a long traceback hides it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], WorkmeshError):
            record.exc_info = record.exc_text = None
        return True


_filter = _WithoutTraceback()
"""One instance a process: a logger ignores a filter that it already has, so installing it again changes nothing."""


def hide_tracebacks() -> None:
    """Install the filter on the loggers by which Prefect reports that a run or a task failed.

    Called where a flow is made, and by the tasks that a Dask or Ray worker may run: it imports no flow.
    """
    for name in ("prefect.task_runs", "prefect.flow_runs"):
        logging.getLogger(name).addFilter(_filter)
