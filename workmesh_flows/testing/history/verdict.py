"""What a history was found to say: each broken promise as a sentence, and all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from workmesh_flows.testing.history.events import Id

SHOWN = 20
"""Sentences that a verdict prints; the rest are counted."""


class Promise(StrEnum):
    """What delivery promises, and what a history is held against."""

    ORDER = "order"
    LOSS = "loss"
    TWICE = "twice"
    SENDER = "single sender"
    CONSERVATION = "conservation"
    PUSH_TIMES = "push times"


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, by which records of which lane (``node`` is None where no node has to do with it)."""

    promise: Promise
    service: str
    protocol: str
    node: str | None
    ids: tuple[Id, ...]
    sentence: str

    def __str__(self) -> str:
        """The sentence, with the promise before it."""
        lane = "/".join(part for part in (self.service, self.protocol, self.node) if part)
        return f"{self.promise}: {lane}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that is wrong with a history of so many events and records."""

    events: int
    records: int
    violations: Sequence[Violation] = ()

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    @property
    def counts(self) -> Mapping[Promise, int]:
        """Violations by promise, zeros too."""
        found = Counter(violation.promise for violation in self.violations)
        return {promise: found[promise] for promise in Promise}

    @property
    def sentences(self) -> list[str]:
        """The first violations as lines of text, and how many more there are."""
        more = len(self.violations) - SHOWN
        return [str(violation) for violation in self.violations[:SHOWN]] + (
            [f"and {more:,} more"] if more > 0 else []
        )

    def __str__(self) -> str:
        """For people, and for the message of a failed assertion."""
        state = "clean" if self.clean else f"{len(self.violations):,} violations"
        head = f"{self.events:,} events of {self.records:,} records: {state}"
        return "\n".join([head, *self.sentences])
