"""A lane: the ordered stream of one protocol's records to one node, or of their results from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, Self, TypeAlias

from workmesh_flows.domain.service import Service

Direction: TypeAlias = Literal["push", "pull"]


@dataclass(frozen=True, slots=True)
class Lane:
    """The identity of a lane: the key of its row, and its name in events, conditions, headers and log lines."""

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
        """The lane with this subject; raises ValueError for a text that is no lane's subject."""
        match subject.split("/"):
            case [service, protocol, node, "push" | "pull" as direction] if service and protocol and node:
                return cls(service, protocol, node, direction)
        raise ValueError(f"{subject!r} names no lane: service/protocol/node/direction is expected")

    @property
    def header(self) -> str:
        """The value of the ``Workmesh-Lane`` header, without the node: the node that receives it is the one meant."""
        return f"{self.service}/{self.protocol}"

    @property
    def key(self) -> dict[str, str]:
        """The primary key of its row, by column name."""
        return asdict(self)


def lanes_of_node(service: Service, node: str) -> Iterator[Lane]:
    """All lanes of a service to and from a node, in the declared order of its protocols."""
    for protocol in service.protocols:
        if protocol.push is not None:
            yield Lane(service.name, protocol.name, node, "push")
        if protocol.is_asked:
            yield Lane(service.name, protocol.name, node, "pull")
