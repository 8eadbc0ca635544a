"""Nodes and the inventory of all nodes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeAlias
from urllib.parse import unquote

from pydantic import SecretStr

from workmesh_flows.errors import UnknownName

SHORTEST_SECRET = 6
"""Length of the shortest word in the value of a header that is masked: shorter ones occur in any text."""

ALL_SERVICES = "*"
"""The key in ``max_entities`` of the cap over all services of a node."""
Excluded: TypeAlias = Mapping[str, Mapping[str, str]]
"""Nodes that get no new entities in a run: the reason by service, by the node's name."""


class NodeState(StrEnum):
    """Whether a node takes new entities and receives requests."""

    ACTIVE = "active"
    """Takes new entities; its records are processed."""
    DRAINING = "draining"
    """Takes no new entities; existing records are still processed until its entities have moved away."""
    STANDBY = "standby"
    """Takes no new entities; existing records are still processed."""
    DISABLED = "disabled"
    """Takes no new entities and receives no requests."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that runs one or more micro-services.

    ``max_weight`` and ``max_entities`` are caps by service name; a service without an entry has no cap.
    ``max_entities`` may also have the key ``ALL_SERVICES``: the cap over all services together. ``max_batch``
    limits the records in one request, ``max_rate`` the records per second, each by service name.

    ``path`` stands before the path of each endpoint, ``headers`` are added to each request, and ``proxy`` is the address
    of the proxy that requests take; without one they take none.

    ``excluded`` is why the node gets no new entities in this run although it is active, by service name: a check of
    the run found that it does not work. ``revision`` changes whenever its block is saved.
    """

    name: str
    host: str
    api_key: SecretStr
    services: tuple[str, ...]
    port: int = 80
    scheme: str = "http"
    verify: bool = True
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    client_key_password: SecretStr | None = None
    path: str = ""
    headers: Mapping[str, SecretStr] = field(default_factory=dict)
    proxy: SecretStr | None = None
    max_weight: Mapping[str, int] = field(default_factory=dict)
    max_entities: Mapping[str, int] = field(default_factory=dict)
    max_batch: Mapping[str, int] = field(default_factory=dict)
    max_rate: Mapping[str, float] = field(default_factory=dict)
    state: NodeState = NodeState.ACTIVE
    tags: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    revision: str = ""

    @property
    def address(self) -> str:
        """Scheme, host and port, without a path."""
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no text may show: the API key, the values of headers, and the user name and password of the proxy."""
        values = [header.get_secret_value() for header in self.headers.values()]
        words = [word for value in values for word in (value, *value.split()) if len(word) >= SHORTEST_SECRET]
        return (self.api_key.get_secret_value(), *words, *self._proxy_secrets())

    def _proxy_secrets(self) -> Iterator[str]:
        if self.proxy is None:
            return
        login, found, _ = self.proxy.get_secret_value().partition("://")[2].rpartition("@")
        if found:
            name, _, password = login.partition(":")
            yield from (password or name, unquote(password or name))
            yield b64encode(unquote(login).encode()).decode()  # as in the header Proxy-Authorization

    @property
    def shared_cap(self) -> int | None:
        """The cap on entities over all services together; None if there is none."""
        return self.max_entities.get(ALL_SERVICES)

    def entity_cap(self, service: str, elsewhere: int = 0) -> int | None:
        """The cap on entities of a service, given ``elsewhere`` entities of other services; None is no cap."""
        left = None if self.shared_cap is None else max(self.shared_cap - elsewhere, 0)
        return min((cap for cap in (self.max_entities.get(service), left) if cap is not None), default=None)

    def runs(self, service: str) -> bool:
        """Whether this machine runs the micro-service."""
        return service in self.services

    def takes_new(self, service: str) -> bool:
        """Whether new entities of the service may be assigned to this node."""
        return self.state is NodeState.ACTIVE and self.runs(service) and service not in self.excluded


@dataclass(frozen=True, slots=True)
class Inventory:
    """All nodes by name; ``problems`` are the blocks that could not be read, with the reason, by name."""

    nodes: Mapping[str, Node]
    problems: Mapping[str, str] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        """The node of that name; raises UnknownName."""
        if name in self.nodes:
            return self.nodes[name]
        raise UnknownName("the mesh", "node", name, sorted(self.nodes))

    def excluding(self, reasons: Excluded) -> Inventory:
        """The same nodes; those in ``reasons`` take no new entities of the services that it names."""
        nodes = {
            name: replace(node, excluded=reasons[name]) if name in reasons else node
            for name, node in self.nodes.items()
        }
        return Inventory(nodes, self.problems)

    def excluded_from(self, service: str) -> dict[str, str]:
        """The nodes that get no new entities of a service in this run, with the reason."""
        return {
            name: node.excluded[service]
            for name, node in sorted(self.nodes.items())
            if service in node.excluded
        }

    def problem_with(self, name: str, service: str) -> str | None:
        """Return why no records of the service can be sent to this node, or None if they can."""
        if name in self.problems:
            return f"its block does not validate: {self.problems[name]}"
        if name not in self.nodes:
            return "it is not in the inventory"
        if not self.nodes[name].runs(service):
            return f"it does not run {service}"
        return None


def concerns(node: Node, services: Collection[str]) -> bool:
    """Whether a node belongs to a mesh with these services: it names one of them, or a name that resembles one."""
    return any(node.runs(service) for service in services) or bool(
        likely_misspelling(node.services, services)
    )


def likely_misspelling(services: Iterable[str], known: Iterable[str]) -> str:
    """A message about unknown service names that resemble a known one; empty if there are none.

    Other unknown names are not reported, because several meshes may share one inventory.
    """
    names = set(known)
    close = {name: get_close_matches(name, names, n=1, cutoff=0.8) for name in services if name not in names}
    return "; ".join(
        f"the mesh has no service {name}: did you mean {found[0]}?" for name, found in close.items() if found
    )
