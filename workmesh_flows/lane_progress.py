"""Progress of a lane while a task works it: for listeners at once, into log and artifact now and then."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from prefect import get_run_logger

from workmesh_flows.progress import tell
from workmesh_flows.progress_bar import ProgressBar

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
        tell(self.lane, done, total)
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
