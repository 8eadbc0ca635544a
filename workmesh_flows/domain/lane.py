"""A lane: the ordered stream of one protocol to one node, in one direction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["push", "pull"]


@dataclass(frozen=True, slots=True)
class Lane:
    """The identity of a lane: what its row, its events, its conditions and its log lines are named by."""

    service: str
    protocol: str
    node: str
    direction: Direction = "push"

    def __str__(self) -> str:
        """For people: ``delivery to n1``, ``delivery from n1``."""
        return f"{self.protocol} {'to' if self.direction == 'push' else 'from'} {self.node}"

    @property
    def key(self) -> dict[str, str]:
        """The primary key of its row, by column."""
        return asdict(self)
