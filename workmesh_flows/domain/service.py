"""Services and the mesh, as users declare them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from sqlalchemy import URL, Engine

from workmesh_flows.domain.checks.criterion import criterion_problems
from workmesh_flows.domain.checks.declaration import entity_problems, protocol_problems
from workmesh_flows.domain.checks.flags import shared_flags
from workmesh_flows.domain.checks.functions import function_problem
from workmesh_flows.domain.checks.members import name_problem, read_members, repeated
from workmesh_flows.domain.checks.ordering import follow_problems
from workmesh_flows.domain.columns import ColumnRef, column_of, described, mapper_problem
from workmesh_flows.domain.criteria import Criterion, RoundRobin
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.errors import DefinitionError, UnknownName

Database: TypeAlias = str | URL | Callable[[], Engine]
"""The database of a mesh: a URL, or a function without parameters that returns an engine."""

_SCRIPTS = ("__main__", "__mp_main__", "__prefect_loader_")
"""Prefixes of module names that another process cannot import: scripts, and files that Prefect loads."""


class Service:
    """A micro-service: the entities that are assigned to its nodes, and the protocols for their records.

    ``assigned_to`` is the entity's column that holds the name of its node; null means that the entity has
    none. Protocols are pushed in the order given. Raises DefinitionError, which lists every problem.
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
        self.protocols, member_problems = read_members("protocols", protocols, Protocol)
        self.criterion: Criterion = RoundRobin() if criterion is None else criterion
        if problems := (*self._problems(), *member_problems):
            raise DefinitionError(f"service {described(name)}", problems)

    def protocol(self, name: str) -> Protocol:
        """The protocol with this name; raises UnknownName."""
        for protocol in self.protocols:
            if protocol.name == name:
                return protocol
        raise UnknownName(
            f"service {self.name}", "protocol", name, [protocol.name for protocol in self.protocols]
        )

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
    """All services of a master, and optionally its database.

    Raises DefinitionError if two services conflict. A mesh that is an attribute of a module can be pickled:
    other processes import it from that module.
    """

    def __init__(self, services: Sequence[Service], *, database: Database | None = None) -> None:
        self.services, member_problems = read_members("services", services, Service)
        self.database = database
        self._module: str = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001 - as namedtuple and enum do
        if problems := (*member_problems, *self._problems()):
            raise DefinitionError("the mesh", problems)

    def service(self, name: str) -> Service:
        """The service with this name; raises UnknownName."""
        for service in self.services:
            if service.name == name:
                return service
        raise UnknownName("the mesh", "service", name, [service.name for service in self.services])

    def __repr__(self) -> str:
        """The names of the services; never the database URL, which may contain a password."""
        return f"Mesh({', '.join(service.name for service in self.services)})"

    def __reduce__(self) -> tuple[Callable[[str, str], Mesh], tuple[str, str]]:
        """Pickle a reference to a module's attribute, as for functions.

        The module that made the mesh comes first, then any other that contains it: a module that merely
        imports it may be a script, which another process cannot import.
        """
        for name in (self._module, *sys.modules):
            module = None if name.startswith(_SCRIPTS) else sys.modules.get(name)
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is self:
                    return _mesh_at, (name, attribute)
        message = "a mesh can be sent to another process only if it is an attribute of an importable module"
        raise TypeError(message)

    def _problems(self) -> Iterator[str]:
        yield from repeated("service", [service.name for service in self.services])
        yield from shared_flags([(f"{s.name} {p.name!r}", p) for s in self.services for p in s.protocols])
        users: dict[Any, str] = {}
        for service in self.services:
            column = column_of(service.assigned_to)
            if other := users.get(column):
                shared = described(service.assigned_to)
                yield f"services {other!r} and {service.name!r} have the same assigned_to column {shared}"
            users[column] = service.name
        yield from _database_problems(self.database)


def _database_problems(database: object) -> Iterator[str]:
    wanted = "database must be a URL or a function () that returns an engine"
    if database is None or isinstance(database, str | URL):
        return
    if not callable(database):
        kind = type(database).__name__  # not its value, which may contain a password
        hint = "; write database=lambda: engine" if isinstance(database, Engine) else ""
        yield f"{wanted}, not an object of the class {kind}{hint}"
    elif problem := function_problem(database):
        yield f"{wanted}: {problem}"


def _mesh_at(module: str, attribute: str) -> Mesh:
    __import__(module)
    mesh: Mesh = getattr(sys.modules[module], attribute)
    return mesh
