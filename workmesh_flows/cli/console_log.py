"""What Prefect logs on the console while a command runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

REPEATED = (
    "Encountered exception during execution",
    "Task run failed with exception",
    "Finished in state",
    "Crash detected!",
    "entities of %s could not be assigned",
    "entities of %s cannot move",
)
"""Beginnings of messages that repeat the error or the summary of a run, which the command prints at its end."""


@contextmanager
def errors_logged_once() -> Iterator[None]:
    """Keep such messages off the console; the Prefect server still gets them in the logs of the run."""
    import prefect.main  # noqa: F401 - sets up the handlers; Prefect itself imports it only when a flow starts
    from prefect.logging.handlers import PrefectConsoleHandler

    names = (None, "prefect", "prefect.flow_runs", "prefect.task_runs")  # None: the root logger
    handlers = [
        handler
        for name in names
        for handler in logging.getLogger(name).handlers
        if isinstance(handler, PrefectConsoleHandler)
    ]
    for handler in handlers:
        handler.addFilter(_is_new)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_new)


def _is_new(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(REPEATED)
