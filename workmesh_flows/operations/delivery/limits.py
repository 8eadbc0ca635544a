"""Limits of one run over a lane: how many records, how many seconds, how many records a second."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Where a run over a lane ends, between two batches: after a number of records or of seconds; None is no limit."""

    records: int | None = None
    seconds: float | None = None

    def after(self, records: int, seconds: float) -> RunLimits:
        """What is left of the limits for the next attempt, after this number of records and of seconds."""
        return RunLimits(
            None if self.records is None else max(self.records - records, 0),
            None if self.seconds is None else max(self.seconds - seconds, 0.0),
        )


@dataclass(slots=True)
class RateLimiter:
    """Limits the number of records a second; ``rate`` None is no limit. The first batch never waits."""

    rate: float | None
    _next: float = field(default_factory=monotonic)

    def wait(self, records: int, stop: threading.Event) -> None:
        """Wait until these records may be sent, or until ``stop`` is set."""
        if self.rate is None:
            return
        now = monotonic()
        if self._next > now:
            stop.wait(self._next - now)
        self._next = max(self._next, now) + records / self.rate

    def give_back(self, records: int) -> None:
        """Return the share of records that were not sent after all."""
        if self.rate is not None:
            self._next -= records / self.rate
