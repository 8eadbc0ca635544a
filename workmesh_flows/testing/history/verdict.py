"""The result of a check: each violation as a sentence, and all violations of a history together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from workmesh_flows.domain.lane import Lane
from workmesh_flows.testing.history.events import Id

SHOWN = 20
"""Number of violations that a verdict prints; the rest are counted."""


class Guarantee(StrEnum):
    """The guarantees of delivery that a history is checked against."""

    ORDERING = "ordering"
    LOSS = "loss"
    DUPLICATES = "duplicates"
    SINGLE_SENDER = "single sender per lane"
    TOTALS = "totals"
    PUSH_TIMES = "push times"


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken guarantee: the ids of the records concerned, and their lane (``node`` is None if none is concerned)."""

    guarantee: Guarantee
    service: str
    protocol: str
    node: str | None
    ids: tuple[Id, ...]
    sentence: str

    @classmethod
    def on_lane(cls, guarantee: Guarantee, lane: Lane, ids: tuple[Id, ...], sentence: str) -> Self:
        """A violation that concerns one lane."""
        return cls(guarantee, lane.service, lane.protocol, lane.node, ids, sentence)

    def __str__(self) -> str:
        """The guarantee, the lane and the sentence."""
        lane = "/".join(part for part in (self.service, self.protocol, self.node) if part)
        return f"{self.guarantee}: {lane}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """All violations in a history, and the numbers of its events and records."""

    events: int
    records: int
    violations: Sequence[Violation] = ()

    @property
    def clean(self) -> bool:
        """Whether no guarantee was broken."""
        return not self.violations

    @property
    def counts(self) -> Mapping[Guarantee, int]:
        """The number of violations of each guarantee, also where it is 0."""
        found = Counter(violation.guarantee for violation in self.violations)
        return {guarantee: found[guarantee] for guarantee in Guarantee}

    @property
    def sentences(self) -> list[str]:
        """The first violations as lines of text, then the number of the rest."""
        more = len(self.violations) - SHOWN
        return [str(violation) for violation in self.violations[:SHOWN]] + (
            [f"and {more:,} more"] if more > 0 else []
        )

    def __str__(self) -> str:
        """A summary line, then the sentences; serves as the message of a failed assertion."""
        result = "clean" if self.clean else f"{len(self.violations):,} violations"
        head = f"{self.events:,} events of {self.records:,} records: {result}"
        return "\n".join([head, *self.sentences])
