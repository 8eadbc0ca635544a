"""Completion of names in a shell: services and protocols of the mesh, and nodes to which entities are assigned.

No Prefect server is asked. Whatever fails, or takes too long, gives no names: a shell shows no errors here.
"""

from __future__ import annotations

import io
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workmesh_flows.domain.service import Mesh, Service

SECONDS = 3.0
"""Longest wait for the database."""


def complete_service(context: typer.Context, incomplete: str) -> list[str]:
    """The services of the mesh."""
    return _names(context, incomplete, lambda mesh: [service.name for service in mesh.services])


def complete_protocol(context: typer.Context, incomplete: str) -> list[str]:
    """The protocols of the service that the command line names, or of all."""

    def protocols(mesh: Mesh) -> Iterable[str]:
        return [protocol.name for service in _services(mesh, context) for protocol in service.protocols]

    return _names(context, incomplete, protocols)


def complete_node(context: typer.Context, incomplete: str) -> list[str]:
    """The nodes to which entities are assigned."""

    def nodes(mesh: Mesh) -> Iterable[str]:
        from workmesh_flows.adapters.store.entities import node_names

        with _engine(mesh) as engine:
            return [name for service in _services(mesh, context) for name in node_names(engine, service)]

    return _names(context, incomplete, nodes)


def _services(mesh: Mesh, context: typer.Context) -> list[Service]:
    name = context.params.get("service")
    return [mesh.service(name)] if name else list(mesh.services)


def _names(context: typer.Context, incomplete: str, read: Callable[[Mesh], Iterable[str]]) -> list[str]:
    """The names that start as typed, sorted; a thread reads them, since a database may not answer."""
    found = list[str]()

    def fill(mesh: Mesh) -> None:
        with suppress(Exception):
            found.extend(read(mesh))

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), suppress(Exception):
        if (mesh := _mesh(context)) is not None:
            reading = Thread(target=fill, args=(mesh,), daemon=True)
            reading.start()
            reading.join(SECONDS)
    return sorted({name for name in found if name.startswith(incomplete)})


def _mesh(context: typer.Context) -> Mesh | None:
    from workmesh_flows.cli.run_flow import mesh_if_named
    from workmesh_flows.domain.service import Mesh
    from workmesh_flows.references import load_reference

    named = context.params.get("mesh") or setting_in_files("mesh")
    return load_reference(named, Mesh) if named else mesh_if_named(None)


@contextmanager
def _engine(mesh: Mesh) -> Iterator[Engine]:
    """The database of the mesh, without creating tables in it."""
    from workmesh_flows.adapters.store.engine import make_engine

    database = mesh.database if mesh.database is not None else setting_in_files("database_url")
    if database is not None:
        yield make_engine(database)
        return
    from workmesh_flows.mesh_database import unprepared_engine

    with unprepared_engine(mesh) as engine:
        yield engine


def setting_in_files(name: str) -> str | None:
    """A setting in the environment or a file of this folder, in Prefect's order; None if it may be in a profile.

    Prefect reads settings itself, but importing it takes more than a second, too long after a key was pressed.
    """
    from dotenv import dotenv_values

    variable = f"PREFECT_INTEGRATIONS_WORKMESH_{name.upper()}"
    for variables in (os.environ, dotenv_values(".env")):
        if variables.get(variable):
            return variables[variable]
    for file, head in ((Path("prefect.toml"), ()), (Path("pyproject.toml"), ("tool", "prefect"))):
        table: Any = tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        for key in (*head, "integrations", "workmesh"):
            table = table.get(key, {})
        if name in table:
            return str(table[name])
    return None
