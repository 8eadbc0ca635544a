"""The circuit breaker of a lane: after several failures in a row, no request for a while.

It is closed while all is well, open while no request is made, and half-open for the one batch that is tried when the
pause is over. A pause begins at ``breaker_seconds`` and grows with each failure in a row, with full jitter on top (see
Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), so that lanes do not come back together.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import uniform

from sqlalchemy import Engine

from workmesh_flows.adapters.store.lanes import LaneLease, update_lane
from workmesh_flows.adapters.store.values import stored_text
from workmesh_flows.domain.limits import Limits
from workmesh_flows.errors import NodeUnavailable

LONGEST_PAUSE = 600.0
"""Seconds that an open breaker waits at most."""


def save_failure(
    engine: Engine, lease: LaneLease, limits: Limits, error: NodeUnavailable, *, now: datetime
) -> datetime | None:
    """Keep why the node was away, and how long it asked to be left alone; return when it may be asked again.

    Raises LaneLost or StoreError.
    """
    until = error.retry_at
    lease.failures += 1
    if lease.failures >= limits.breaker_failures:
        lease.breaker = "open"
        pause = timedelta(
            seconds=pause_after(lease.failures - limits.breaker_failures, limits.breaker_seconds)
        )
        until = max(now + pause, until or now)
    kept = until if until is not None and until > now else None
    update_lane(
        engine,
        lease,
        failures=lease.failures,
        breaker=lease.breaker,
        retry_at=kept,
        last_failure=stored_text(error.reason),
        next_batch=lease.next_batch,
    )
    return kept


def save_recovery(engine: Engine, lease: LaneLease) -> None:
    """Keep that the node answered, where that is news."""
    if lease.failures or lease.breaker != "closed":
        update_lane(engine, lease, failures=0, breaker="closed")
        lease.failures, lease.breaker = 0, "closed"


def pause_after(failures: int, first: float) -> float:
    """Seconds to wait after so many failures beyond those that opened the breaker."""
    longest = min(first * 2.0 ** min(failures, 30), LONGEST_PAUSE)
    return min(first, LONGEST_PAUSE) + uniform(0, longest)  # noqa: S311 - jitter, no secret
