"""Push times of a batch: strictly increasing within a lane."""

from __future__ import annotations

from datetime import datetime, timedelta

TICK = timedelta(microseconds=1)
"""The smallest step between two push times: databases store microseconds."""


def push_times(now: datetime, last: datetime | None, count: int) -> list[datetime]:
    """Return ``count`` strictly increasing times, one microsecond apart, from ``now`` and after ``last``."""
    first = now if last is None or now > last else last + TICK
    return [first + i * TICK for i in range(count)]
