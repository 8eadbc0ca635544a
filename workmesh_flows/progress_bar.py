"""A bar on a run's page that never holds up the work it is about."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Condition, Thread
from typing import TYPE_CHECKING, cast

from prefect.artifacts import create_progress_artifact, update_progress_artifact

if TYPE_CHECKING:
    from uuid import UUID

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
