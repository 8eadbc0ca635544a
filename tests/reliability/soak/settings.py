"""The settings of a soak: durations, counts and rates."""

from __future__ import annotations

import random
from dataclasses import dataclass

Span = tuple[float, float]
"""Seconds between two disruptions: least and most."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings; the seed determines what is disrupted and when, but not what is going on there at that moment."""

    seconds: float = 600
    nodes: int = 20
    entities: int = 500
    seed: int = 1
    masters: int = 2
    workers: int = 2
    records_per_second: float = 60
    lease_seconds: float = 3
    fault_rate: float = 0.12
    kills: Span = (5, 20)
    pauses: Span = (10, 30)
    overtime: Span = (1, 8)
    """Seconds that a pause lasts after the lease has expired."""
    restarts: Span = (8, 30)
    moves: Span = (1, 5)
    replays: Span = (3, 8)
    settle_seconds: float = 180

    def chance(self, *actor: object) -> random.Random:
        """The random decisions of one actor."""
        return random.Random("/".join(map(str, (self.seed, *actor))))  # noqa: S311 - reproducible, not secret


def brief(seconds: float, nodes: int, entities: int, seed: int) -> Settings:
    """The disruptions of ten minutes in a shorter time."""
    return Settings(
        seconds,
        nodes,
        entities,
        seed,
        lease_seconds=1,
        kills=(1, 2.5),
        pauses=(1, 3),
        overtime=(0.5, 2),
        restarts=(1.5, 5),
        moves=(0.3, 1),
        replays=(1, 2),
        settle_seconds=60,
    )
