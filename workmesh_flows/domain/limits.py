"""How long to wait, how much to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes, records and failures that bound the work with one node.

    A lease is renewed while a run works; after a run dies, its lanes are free when the lease has run out. After
    ``breaker_failures`` failures in a row a lane makes no request for ``breaker_seconds`` and more.
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
