"""How long to wait, how much to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that bound the work with one node.

    A lease is renewed while a run works; after a run dies, its lanes are free when the lease has run out.
    """

    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    max_answer_bytes: int = 4 * 1024 * 1024
    lease_seconds: float = 30.0
