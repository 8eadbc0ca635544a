"""The circuit breaker of a lane: jittered exponential back-off, at most ten minutes, after consecutive failures.

It is closed while the node answers, open during the pause, and half-open for the one batch that is sent after the
pause. The first pause is ``breaker_seconds`` long; each further failure adds up to twice as much, with full jitter (see
Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), so that lanes do not resume together.
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
"""Seconds: neither the first pause nor the jitter that is added to it is longer."""


def save_failure(
    engine: Engine, lease: LaneLease, limits: Limits, error: NodeUnavailable, *, now: datetime
) -> datetime | None:
    """Save why the node was unreachable, and open the breaker after too many failures; return when the pause ends.

    The pause is the breaker's or the one that the node asked for, whichever is longer; None is no pause. Raises
    LaneLost or StoreError.
    """
    until = error.retry_at
    lease.failures += 1
    if lease.failures >= limits.breaker_failures:
        lease.breaker = "open"
        pause = timedelta(
            seconds=pause_after(lease.failures - limits.breaker_failures, limits.breaker_seconds)
        )
        until = max(now + pause, until or now)
    retry_at = until if until is not None and until > now else None
    update_lane(
        engine,
        lease,
        failures=lease.failures,
        breaker=lease.breaker,
        retry_at=retry_at,
        last_failure=stored_text(error.reason),
        next_batch=lease.next_batch,
    )
    return retry_at


def save_recovery(engine: Engine, lease: LaneLease) -> None:
    """Reset failures and breaker after an answer of the node, where they are not reset already."""
    if lease.failures or lease.breaker != "closed":
        update_lane(engine, lease, failures=0, breaker="closed")
        lease.failures, lease.breaker = 0, "closed"


def pause_after(failures: int, first: float) -> float:
    """Seconds to wait; ``failures`` counts those after the one that opened the breaker, ``first`` is in seconds."""
    longest = min(first * 2.0 ** min(failures, 30), LONGEST_PAUSE)
    return min(first, LONGEST_PAUSE) + uniform(0, longest)  # noqa: S311 - jitter, no secret
