"""Steps of a run whose errors must not fail it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Log an error of the block as a warning and continue: ``what`` could not be shown, but the run's work is done."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - an error of the server, the database or a chart does not undo the work
        summary = str(error).partition("\n")[0]
        get_run_logger().warning(
            "%s could not be shown (%s: %s); the run's work is not affected",
            what,
            type(error).__name__,
            summary,
        )
