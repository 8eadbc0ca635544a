"""What can go wrong between a master and a node, as values; and a policy that lets it go wrong at random.

A policy is a function of a request that gives a fault, or None where the request is to pass.
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
    """The request is held for so long, then passes; where its sender gives up meanwhile, it never does."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (TCP RST) before the node gets anything."""


@dataclass(frozen=True, slots=True)
class HalfClose:
    """The node does its work; half of the bytes of its answer arrive, then the connection ends."""


@dataclass(frozen=True, slots=True)
class DropAnswer:
    """The node does its work; of its answer nothing arrives, and the connection ends."""


@dataclass(frozen=True, slots=True)
class SlowBody:
    """The node does its work; the body of its answer arrives in pieces, a pause before each."""

    seconds: float
    pieces: int = 4


@dataclass(frozen=True, slots=True)
class Unavailable:
    """503, the node gets nothing; ``retry_after`` are seconds, or a time, which is sent as an HTTP date (naive: UTC)."""

    retry_after: int | datetime | None = None


@dataclass(frozen=True, slots=True)
class Html:
    """200 with a page in HTML, as a hotel's network or a maintenance page answers; the node gets nothing."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """303 to some address; the node gets nothing. To ``/500``, it is how a crashed micro-service answers."""

    location: str = "/404"


@dataclass(frozen=True, slots=True)
class BrokenJson:
    """The node does its work; half of the body of its answer arrives, as if that were all of it."""


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
    Html(),
    BrokenJson(),
)
"""Faults after which a lane is simply tried again."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """A policy: of all requests a part (``rate``, 0 to 1) meets one of ``faults``, each as likely as the others.

    The fault of a request depends on the seed and the request's number alone.
    """

    seed: int
    rate: float
    faults: Sequence[Fault] = TRANSIENT

    def __call__(self, request: Request) -> Fault | None:
        """What this request meets."""
        chance = random.Random(f"{self.seed}/{request.number}")  # noqa: S311 - to be the same each time
        return chance.choice(self.faults) if chance.random() < self.rate else None
