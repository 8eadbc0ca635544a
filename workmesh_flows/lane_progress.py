"""Progress of a lane while a task works it: for listeners at once, into log and artifact every few seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from workmesh_flows.progress import tell

if TYPE_CHECKING:
    from uuid import UUID

SECONDS = 5.0
"""Between two lines of the log, and two updates of the artifact: a short lane has neither."""


@dataclass(slots=True)
class LaneProgress:
    """Told after each batch: records done, and records there were."""

    lane: str
    verb: str
    logger: Any = field(default_factory=get_run_logger)
    _told: float = field(default_factory=time.monotonic)
    _artifact: UUID | None = None
    _away: bool = False

    def __call__(self, done: int, total: int) -> None:
        """Tell whoever listens; the Prefect server only now and then, and when the lane is done."""
        tell(self.lane, done, total)
        now = time.monotonic()
        ended = done >= total and self._artifact is not None
        if not ended and now - self._told < SECONDS:
            return
        self._told = now
        self.logger.info("%s: %s %s of %s records", self.lane, self.verb, f"{done:,}", f"{total:,}")
        self._show(100.0 * done / max(total, 1))

    def _show(self, percent: float) -> None:
        """The artifact of the run's page. A server that is away must not stop the lane: it is left out from then on."""
        if self._away:
            return
        try:
            if self._artifact is None:
                made = create_progress_artifact(percent, description=f"{self.lane}: {self.verb}")
                self._artifact = cast("UUID", made)  # typed as if it could be awaited, too
            else:
                update_progress_artifact(self._artifact, percent)
        except Exception as error:  # noqa: BLE001 - whatever the server or the way to it says
            self._away = True
            self.logger.warning("%s: no progress is shown any more: %s", self.lane, type(error).__name__)
