"""A service and the mesh: what a user declares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from sqlalchemy import URL, Engine
from sqlalchemy.sql import ColumnElement

from workmesh_flows.domain.checks import (
    entity_problems,
    name_problem,
    protocol_problems,
    repeated,
    shared_flags,
)
from workmesh_flows.domain.columns import ColumnRef, belongs_to, column_of, is_column
from workmesh_flows.domain.criteria import Criterion, EntityNumber, EntityWeight, RoundRobin
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.errors import DefinitionError, UnknownName

Database: TypeAlias = str | URL | Callable[[], Engine]
"""Where a mesh keeps its records: an address, or a function that gives an engine."""


class Service:
    """A micro-service: the entity that is assigned, where its node is written, and what is sent.

    ``assigned_to`` is the entity's column that holds the name of its node, null where it has none. Protocols go
    to a node in the order they are given. Raises DefinitionError, which lists every problem at once.
    """

    def __init__(
        self,
        name: str,
        *,
        entity: type[Any],
        assigned_to: ColumnRef,
        protocols: Sequence[Protocol] = (),
        criterion: Criterion | None = None,
    ) -> None:
        """Declare a service and check all of it."""
        self.name = name
        self.entity = entity
        self.assigned_to = assigned_to
        self.protocols = tuple(protocols)
        self.criterion: Criterion = RoundRobin() if criterion is None else criterion
        if problems := tuple(self._problems()):
            raise DefinitionError(f"service {name!r}", problems)

    def protocol(self, name: str) -> Protocol:
        """The protocol of that name; raises UnknownName."""
        for protocol in self.protocols:
            if protocol.name == name:
                return protocol
        raise UnknownName(f"protocol of {self.name}", name, [protocol.name for protocol in self.protocols])

    def __repr__(self) -> str:
        """Name and entity class."""
        return f"Service({self.name!r}, entity={self.entity.__name__})"

    def _problems(self) -> Iterator[str]:
        if problem := name_problem("service", self.name):
            yield problem
        broken = list(entity_problems(self.entity, self.assigned_to))
        yield from broken
        if not isinstance(self.criterion, RoundRobin | EntityNumber | EntityWeight):
            yield f"criterion must be RoundRobin(), EntityNumber() or EntityWeight(...), not {self.criterion!r}"
        elif isinstance(self.criterion, EntityWeight) and not broken:
            yield from self._weight_problems(self.criterion.weight)
        yield from repeated("protocol", [getattr(protocol, "name", None) for protocol in self.protocols])
        if not broken:
            for protocol in self.protocols:
                where = f"protocol {getattr(protocol, 'name', '?')!r}"
                yield from (f"{where}: {problem}" for problem in protocol_problems(protocol, self.entity))
        named = [(f"protocol {p.name!r}", p) for p in self.protocols if isinstance(p, Protocol)]
        yield from shared_flags(named)

    def _weight_problems(self, weight: object) -> Iterator[str]:
        if is_column(weight):
            if not belongs_to(weight, self.entity):
                yield f"the weight {weight} is a column of another class than {self.entity.__name__}"
        elif not isinstance(weight, ColumnElement) and not callable(weight):
            yield f"the weight must be a column, a SQL expression or a function of the entity, not {weight!r}"


class Mesh:
    """All services of a master, and optionally where its database is.

    Raises DefinitionError where two services clash. A mesh that is a module's attribute can be pickled: it
    travels to other processes by its module and name.
    """

    def __init__(self, services: Sequence[Service], *, database: Database | None = None) -> None:
        """Bring services together."""
        self.services = tuple(services)
        self.database = database
        if problems := tuple(self._problems()):
            raise DefinitionError("the mesh", problems)

    def service(self, name: str) -> Service:
        """The service of that name; raises UnknownName."""
        for service in self.services:
            if service.name == name:
                return service
        raise UnknownName("service", name, [service.name for service in self.services])

    def __repr__(self) -> str:
        """The services' names; never the database address, which may hold a password."""
        return f"Mesh({', '.join(service.name for service in self.services)})"

    def __reduce__(self) -> tuple[Callable[[str, str], Mesh], tuple[str, str]]:
        """Travel by reference, as functions do."""
        for name, module in list(sys.modules.items()):
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is self and name != "__main__":
                    return _mesh_at, (name, attribute)
        message = "a mesh can travel to another process only if it is an attribute of an importable module"
        raise TypeError(message)

    def _problems(self) -> Iterator[str]:
        strangers = [service for service in self.services if not isinstance(service, Service)]
        yield from (f"services holds {stranger!r}, which is not a Service" for stranger in strangers)
        services = [service for service in self.services if isinstance(service, Service)]
        yield from repeated("service", [service.name for service in services])
        yield from shared_flags([(f"{s.name} {p.name!r}", p) for s in services for p in s.protocols])
        holders: dict[Any, str] = {}
        for service in services:
            column = column_of(service.assigned_to)
            if other := holders.get(column):
                yield f"services {other!r} and {service.name!r} write their nodes into the same column {column}"
            holders[column] = service.name


def _mesh_at(module: str, attribute: str) -> Mesh:
    __import__(module)
    mesh: Mesh = getattr(sys.modules[module], attribute)
    return mesh
