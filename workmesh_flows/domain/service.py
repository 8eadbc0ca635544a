"""A service and the mesh: what a user declares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from sqlalchemy import URL, Engine

from workmesh_flows.domain.checks.declaration import (
    criterion_problems,
    entity_problems,
    name_problem,
    protocol_problems,
    read_members,
    repeated,
    shared_flags,
)
from workmesh_flows.domain.checks.functions import function_problem
from workmesh_flows.domain.checks.ordering import follow_problems
from workmesh_flows.domain.columns import ColumnRef, column_of, described, mapper_problem
from workmesh_flows.domain.criteria import Criterion, RoundRobin
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.errors import DefinitionError, UnknownName

Database: TypeAlias = str | URL | Callable[[], Engine]
"""Where a mesh keeps its records: an address, or a function that gives an engine."""

_SCRIPTS = ("__main__", "__mp_main__", "__prefect_loader_")
"""How the names of modules begin that are another one, or none, in another process: the last are files that Prefect loads."""


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
        self.name = name
        self.entity = entity
        self.assigned_to = assigned_to
        self.protocols, strangers = read_members("protocols", protocols, Protocol)
        self.criterion: Criterion = RoundRobin() if criterion is None else criterion
        if problems := (*self._problems(), *strangers):
            raise DefinitionError(f"service {described(name)}", problems)

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
        yield from entity_problems(self.entity, self.assigned_to)
        entity = None if mapper_problem(self.entity, "entity") else self.entity
        yield from criterion_problems(self.criterion, entity)
        yield from repeated("protocol", [protocol.name for protocol in self.protocols])
        named = [(f"protocol {described(protocol.name)}", protocol) for protocol in self.protocols]
        for where, protocol in named:
            yield from (f"{where}: {problem}" for problem in protocol_problems(protocol, entity))
            yield from (f"{where}: {problem}" for problem in follow_problems(protocol, self.protocols))
        yield from shared_flags(named)


class Mesh:
    """All services of a master, and optionally where its database is.

    Raises DefinitionError where two services clash. A mesh that is a module's attribute can be pickled: it
    travels to other processes by its module and name.
    """

    def __init__(self, services: Sequence[Service], *, database: Database | None = None) -> None:
        self.services, strangers = read_members("services", services, Service)
        self.database = database
        self._home: str = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001 - as namedtuple and enum do
        if problems := (*strangers, *self._problems()):
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
        """Travel by reference, as functions do: by the module that made it, else by one that knows it.

        A module that only imported it may be a script that the other process cannot import.
        """
        for name in (self._home, *sys.modules):
            module = None if name.startswith(_SCRIPTS) else sys.modules.get(name)
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is self:
                    return _mesh_at, (name, attribute)
        message = "a mesh can travel to another process only if it is an attribute of an importable module"
        raise TypeError(message)

    def _problems(self) -> Iterator[str]:
        yield from repeated("service", [service.name for service in self.services])
        yield from shared_flags([(f"{s.name} {p.name!r}", p) for s in self.services for p in s.protocols])
        holders: dict[Any, str] = {}
        for service in self.services:
            column = column_of(service.assigned_to)
            if other := holders.get(column):
                shared = described(service.assigned_to)
                yield f"services {other!r} and {service.name!r} write their nodes into the same column {shared}"
            holders[column] = service.name
        if not (self.database is None or isinstance(self.database, str | URL)) and (
            not callable(self.database) or function_problem(self.database)
        ):
            kind = type(self.database).__name__  # not its value: it may hold a password
            yield f"database must be an address or a function () that gives an engine, not a {kind}"


def _mesh_at(module: str, attribute: str) -> Mesh:
    __import__(module)
    mesh: Mesh = getattr(sys.modules[module], attribute)
    return mesh
