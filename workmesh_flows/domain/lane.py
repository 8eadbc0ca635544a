"""A lane: the ordered stream of one protocol to one node, in one direction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, Self, TypeAlias

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
    def subject(self) -> str:
        """Its name in conditions and events: ``micro.emails.timeline/delivery/n1/push``."""
        return "/".join(self.key.values())

    @classmethod
    def from_subject(cls, subject: str) -> Self:
        """The lane that `subject` names; raises ValueError for a text that names none."""
        match subject.split("/"):
            case [service, protocol, node, "push" | "pull" as direction] if service and protocol and node:
                return cls(service, protocol, node, direction)
        raise ValueError(f"{subject!r} names no lane: service/protocol/node/direction is expected")

    @property
    def header(self) -> str:
        """The value of the ``Workmesh-Lane`` header; the node that gets it knows its own name."""
        return f"{self.service}/{self.protocol}"

    @property
    def key(self) -> dict[str, str]:
        """The primary key of its row, by column."""
        return asdict(self)
