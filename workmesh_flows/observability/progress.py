"""Progress of a lane: reported to listeners after each batch, to the log and as an artifact at intervals."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, cast

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from workmesh_flows.domain.lane import Lane
from workmesh_flows.domain.lane_figures import SUCCEEDED
from workmesh_flows.observability.progress_listeners import notify

if TYPE_CHECKING:
    from uuid import UUID

SECONDS = 5.0
"""Least time between two log lines, and between two updates of the artifact: a short lane has neither."""
STEP = 2.0
"""Least progress between them, in per cent: this bounds the requests of a lane, whatever its number of records."""
CLOSE_SECONDS = 2.0
"""Longest time that the end of a lane waits until its last figure is shown."""


@dataclass(slots=True)
class LaneProgress:
    """Called after each batch with the records processed so far, and the total."""

    lane: Lane
    logger: Any = field(default_factory=get_run_logger)
    _reported_at: float = field(default_factory=time.monotonic)
    _percent: float = 0.0
    _bar: ProgressBar | None = None

    def __call__(self, done: int, total: int) -> None:
        """Notify the listeners; report to the Prefect server at intervals, and when the lane is done."""
        notify(str(self.lane), done, total)
        now, percent = time.monotonic(), 100.0 * done / max(total, 1)
        ended = done >= total and self._bar is not None and percent > self._percent
        if not ended and (now - self._reported_at < SECONDS or percent - self._percent < STEP):
            return
        self._reported_at, self._percent = now, percent
        verb = SUCCEEDED[self.lane.direction]
        self.logger.info("%s: %s %s of %s records", self.lane, verb, f"{done:,}", f"{total:,}")
        if self._bar is None:
            self._bar = ProgressBar(f"{self.lane}: {verb}", self._warn)
        self._bar.show(percent)

    def close(self) -> None:
        """The lane has ended."""
        if self._bar is not None:
            self._bar.close()

    def _warn(self, error: Exception) -> None:
        self.logger.warning("%s: progress is no longer shown: %s", self.lane, type(error).__name__)


class ProgressBar:
    """Shows the latest figure from its own thread, since Prefect's client retries for a minute if its server is down.

    After an error it stops and calls ``on_error``. The thread is a daemon: it does not keep the process alive.
    """

    def __init__(self, description: str, on_error: Callable[[Exception], None]) -> None:
        self._description, self._on_error = description, on_error
        self._changed = Condition()
        self._percent: float | None = None
        self._closed = False
        context = copy_context()  # in it Prefect finds the run that the artifact belongs to
        self._thread = Thread(
            target=context.run, args=(self._keep_showing,), name="workmesh-bar", daemon=True
        )
        self._thread.start()

    def show(self, percent: float) -> None:
        """Show this figure next; a figure that was not shown yet is dropped."""
        with self._changed:
            self._percent = percent
            self._changed.notify()

    def close(self) -> None:
        """End the thread, after waiting up to ``CLOSE_SECONDS`` until the last figure is shown."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _keep_showing(self) -> None:
        artifact: UUID | None = None
        try:
            while (percent := self._next()) is not None:
                if artifact is None:
                    created = create_progress_artifact(percent, description=self._description)
                    artifact = cast("UUID", created)  # its type says that it may be awaitable
                else:
                    update_progress_artifact(artifact, percent)
        except Exception as error:  # noqa: BLE001 - any error of the server or the network
            self._on_error(error)

    def _next(self) -> float | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._percent is not None)
            percent, self._percent = self._percent, None
            return percent
