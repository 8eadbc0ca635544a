"""Progress of a lane while a task works it: for listeners at once, into log and artifact now and then."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Condition, Thread
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_progress_artifact, update_progress_artifact

if TYPE_CHECKING:
    from uuid import UUID

import time
from dataclasses import dataclass, field
from typing import Any

from prefect import get_run_logger

from workmesh_flows.observability.progress_listeners import notify

SECONDS = 5.0
"""Between two lines of the log, and two updates of the artifact: a short lane has neither."""
STEP = 2.0
"""And so many per cent: what a lane costs the server has a bound, however many records it has."""


@dataclass(slots=True)
class LaneProgress:
    """Told after each batch: records done, and records there were."""

    lane: str
    verb: str
    logger: Any = field(default_factory=get_run_logger)
    _told: float = field(default_factory=time.monotonic)
    _percent: float = 0.0
    _bar: ProgressBar | None = None

    def __call__(self, done: int, total: int) -> None:
        """Tell whoever listens; the Prefect server only now and then, and when the lane is done."""
        notify(self.lane, done, total)
        now, percent = time.monotonic(), 100.0 * done / max(total, 1)
        ended = done >= total and self._bar is not None and percent > self._percent
        if not ended and (now - self._told < SECONDS or percent - self._percent < STEP):
            return
        self._told, self._percent = now, percent
        self.logger.info("%s: %s %s of %s records", self.lane, self.verb, f"{done:,}", f"{total:,}")
        if self._bar is None:
            self._bar = ProgressBar(f"{self.lane}: {self.verb}", self._gave_up)
        self._bar.show(percent)

    def close(self) -> None:
        """The lane is over."""
        if self._bar is not None:
            self._bar.close()

    def _gave_up(self, error: Exception) -> None:
        self.logger.warning("%s: no progress is shown any more: %s", self.lane, type(error).__name__)


CLOSE_SECONDS = 2.0
"""How long the end of the work waits for its last figure to be shown."""


class ProgressBar:
    """Shows the latest figure from a thread of its own: Prefect's client tries for a minute where its server is away.

    After an error it gives up, which ``gave_up`` is told. The thread ends with the process, whatever it waits for.
    """

    def __init__(self, description: str, gave_up: Callable[[Exception], None]) -> None:
        self._description, self._gave_up = description, gave_up
        self._news = Condition()
        self._percent: float | None = None
        self._closed = False
        run = copy_context()  # where Prefect finds to which run the artifact belongs
        self._thread = Thread(target=run.run, args=(self._keep_showing,), name="workmesh-bar", daemon=True)
        self._thread.start()

    def show(self, percent: float) -> None:
        """What is to be seen next; of several, the latest."""
        with self._news:
            self._percent = percent
            self._news.notify()

    def close(self) -> None:
        """Nothing comes any more; waits a little until what came last is shown."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(CLOSE_SECONDS)

    def _keep_showing(self) -> None:
        artifact: UUID | None = None
        try:
            while (percent := self._next()) is not None:
                if artifact is None:
                    made = create_progress_artifact(percent, description=self._description)
                    artifact = cast("UUID", made)  # typed as if it could be awaited, too
                else:
                    update_progress_artifact(artifact, percent)
        except Exception as error:  # noqa: BLE001 - whatever the server or the way to it says
            self._gave_up(error)

    def _next(self) -> float | None:
        with self._news:
            self._news.wait_for(lambda: self._closed or self._percent is not None)
            percent, self._percent = self._percent, None
            return percent
