"""Bounds of a run over a lane: how many records, how long, how fast."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from time import monotonic


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Where a run over one lane ends, cleanly between two batches: after so many records, after so many seconds."""

    records: int | None = None
    seconds: float | None = None

    def after(self, records: int, seconds: float) -> RunLimits:
        """What is left of them for another try, when so many records are done and so many seconds over."""
        return RunLimits(
            None if self.records is None else max(self.records - records, 0),
            None if self.seconds is None else max(self.seconds - seconds, 0.0),
        )


@dataclass(slots=True)
class RateLimiter:
    """Keeps to a number of records a second; None is as fast as it goes. The first batch goes at once."""

    rate: float | None
    _next: float = field(default_factory=monotonic)

    def wait(self, records: int, stop: threading.Event) -> None:
        """Before these records are sent; ends early where ``stop`` is set."""
        if self.rate is None:
            return
        now = monotonic()
        if self._next > now:
            stop.wait(self._next - now)
        self._next = max(self._next, now) + records / self.rate

    def give_back(self, records: int) -> None:
        """These records were not sent after all."""
        if self.rate is not None:
            self._next -= records / self.rate
