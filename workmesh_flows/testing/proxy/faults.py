"""The faults that a proxy can inject between a master and a node, and a policy that chooses them at random.

A policy is a function that takes a request and returns a fault, or None to forward the request unchanged.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from workmesh_flows.testing.proxy.requests import Request


@dataclass(frozen=True, slots=True)
class Latency:
    """The request is forwarded after a delay in seconds, or never if its sender gives up before."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (TCP RST) before the node gets anything."""


@dataclass(frozen=True, slots=True)
class HalfClose:
    """The node handles the request; half of the bytes of its answer arrive, then the connection ends."""


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """The node handles the request; nothing of its answer arrives, and the connection ends."""


@dataclass(frozen=True, slots=True)
class SlowBody:
    """The node handles the request; the body of its answer arrives in pieces, with a pause in seconds before each."""

    seconds: float
    pieces: int = 4


@dataclass(frozen=True, slots=True)
class Unavailable:
    """503, the node gets nothing; ``retry_after`` is seconds, or a time that is sent as an HTTP date (naive: UTC)."""

    retry_after: int | datetime | None = None


@dataclass(frozen=True, slots=True)
class Html:
    """200 with an HTML page, as a captive portal or a maintenance page answers; the node gets nothing."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """303 to an address; the node gets nothing. A crashed micro-service answers with a redirect to ``/500``."""

    location: str = "/404"


@dataclass(frozen=True, slots=True)
class BrokenJson:
    """The node handles the request; half of the body of its answer arrives, as if it were complete."""


Fault: TypeAlias = (
    Latency | Reset | HalfClose | DropAnswer | SlowBody | Unavailable | Html | Redirect | BrokenJson
)
Policy: TypeAlias = Callable[[Request], Fault | None]

TRANSIENT: Sequence[Fault] = (
    Latency(0.02),
    Reset(),
    HalfClose(),
    DropAnswer(),
    SlowBody(0.005),
    Unavailable(),
)
"""Faults after which a lane is retried."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """A policy: a part of all requests (``rate``, 0 to 1) meets one of ``faults``, all equally likely.

    The fault of a request depends only on the seed and the request's number.
    """

    seed: int
    rate: float
    faults: Sequence[Fault] = TRANSIENT

    def __call__(self, request: Request) -> Fault | None:
        """The fault of a request, or None."""
        chance = random.Random(f"{self.seed}/{request.number}")  # noqa: S311 - reproducible, not secret
        return chance.choice(self.faults) if chance.random() < self.rate else None
