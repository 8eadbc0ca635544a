"""What a run does besides its work, which must not end it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """What a run shows besides its work: where that fails the run says so, and ends as it would have."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - of the server, the database, the drawing: none of it undoes the work
        said = str(error).partition("\n")[0]
        get_run_logger().warning(
            "%s could not be shown (%s: %s); what the run did stands", what, type(error).__name__, said
        )
