"""Timeouts and size limits for requests to nodes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that apply to one node, in seconds, bytes, records and failures.

    A run renews its leases; after a run died, its lanes are free when their leases have expired.
    ``breaker_failures`` and ``breaker_seconds``: consecutive failures that open the circuit breaker, and its
    first pause in seconds; later pauses are longer.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    max_answer_bytes: int = 4 * 1024 * 1024
    lease_seconds: float = 30.0
    max_batch: int | None = None
    max_attempts: int = 5
    max_request_bytes: int = 4 * 1024 * 1024
    breaker_failures: int = 5
    breaker_seconds: float = 15.0
