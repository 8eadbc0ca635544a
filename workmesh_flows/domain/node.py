"""Nodes and the inventory, as facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum

from pydantic import SecretStr

from workmesh_flows.errors import UnknownName

ALL_SERVICES = "*"
"""The key of the cap that all services of a node share."""


class NodeState(StrEnum):
    """What may happen to a node."""

    ACTIVE = "active"
    """Takes new entities and is worked."""
    DRAINING = "draining"
    """Takes nothing new; what it holds is still pushed and pulled until it has moved away."""
    STANDBY = "standby"
    """Kept ready: takes nothing new; what it holds is worked."""
    DISABLED = "disabled"
    """Left alone: nothing new, no request."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that runs one or more micro-services.

    ``max_weight`` and ``max_entities`` are caps by service name; a service left out has none. ``max_entities`` may
    also have a cap under ``ALL_SERVICES``: the most entities it may hold over all services together. ``max_batch`` is
    the most records of a service in one request, ``max_rate`` the most it is sent in a second.
    """

    name: str
    host: str
    api_key: SecretStr
    services: tuple[str, ...]
    port: int = 80
    scheme: str = "http"
    verify: bool = True
    ca_file: str | None = None
    max_weight: Mapping[str, int] = field(default_factory=dict)
    max_entities: Mapping[str, int] = field(default_factory=dict)
    max_batch: Mapping[str, int] = field(default_factory=dict)
    max_rate: Mapping[str, float] = field(default_factory=dict)
    state: NodeState = NodeState.ACTIVE
    tags: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Scheme, host and port, ready for a path to follow."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def shared_cap(self) -> int | None:
        """The most entities it may hold over all services together; None is no cap."""
        return self.max_entities.get(ALL_SERVICES)

    def entity_cap(self, service: str, elsewhere: int = 0) -> int | None:
        """The most entities of a service it may hold while it holds so many of other services; None is no cap."""
        left = None if self.shared_cap is None else max(self.shared_cap - elsewhere, 0)
        return min((cap for cap in (self.max_entities.get(service), left) if cap is not None), default=None)

    def runs(self, service: str) -> bool:
        """Whether the micro-service is on this machine."""
        return service in self.services

    def takes_new(self, service: str) -> bool:
        """Whether an entity may be given to it."""
        return self.state is NodeState.ACTIVE and self.runs(service)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All nodes by name, and what could not be read: the name of a document and why."""

    nodes: Mapping[str, Node]
    problems: Mapping[str, str] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        """The node of that name; raises UnknownName."""
        if name in self.nodes:
            return self.nodes[name]
        raise UnknownName("node", name, sorted(self.nodes))

    def trouble(self, name: str, service: str) -> str | None:
        """Why records cannot go to this node, or None where they can."""
        if name in self.problems:
            return f"its block does not validate: {self.problems[name]}"
        if name not in self.nodes:
            return "it is not in the inventory"
        if not self.nodes[name].runs(service):
            return f"it does not run {service}"
        return None


def likely_misspelling(services: Iterable[str], known: Iterable[str]) -> str:
    """What to say of services that are not known and look like one that is; empty where there are none.

    Others are not spoken of: one inventory may be that of several meshes.
    """
    names = set(known)
    close = {name: get_close_matches(name, names, n=1, cutoff=0.8) for name in services if name not in names}
    return "; ".join(
        f"the mesh has no service {name}: did you mean {found[0]}?" for name, found in close.items() if found
    )
