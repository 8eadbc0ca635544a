"""The command that holds a mesh against its database."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.run_flow import mesh_of

if TYPE_CHECKING:
    from workmesh_flows.domain.service import Mesh
    from workmesh_flows.operations.check import Finding


@app.command()
def check(
    mesh: MeshOption = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Only the DDL that is missing, to be reviewed and given to psql.")
    ] = False,
) -> None:
    """Check the mesh's database: tables, columns, types, keys, indexes, owners. Changes nothing.

    Exits with 1 where there are problems. The names of nodes are read where PREFECT_API_URL is set.
    """
    from workmesh_flows.operations.check import Level, missing_ddl

    findings = _findings(mesh_of(mesh))
    statements = missing_ddl(findings)
    if not sql:
        _show(findings)
        if statements:
            typer.echo("-- what is missing; --sql prints nothing but this")
    for statement in statements:
        typer.echo(f"{statement};")
    if any(finding.level is Level.PROBLEM for finding in findings):
        sys.exit(1)


def _findings(mesh: Mesh) -> Sequence[Finding]:
    from workmesh_flows.adapters.store.engine import make_engine
    from workmesh_flows.mesh_database import database_of
    from workmesh_flows.operations.check import check_mesh

    engine = make_engine(database_of(mesh))  # and not mesh_engine, which creates our tables
    try:
        return check_mesh(engine, mesh, _nodes())
    finally:
        if not callable(mesh.database):
            engine.dispose()


def _nodes() -> Collection[str] | None:
    """The names of all nodes; None where no server is named, or the one that is does not answer."""
    from prefect.settings import get_current_settings

    from workmesh_flows.errors import ConfigurationError
    from workmesh_flows.inventory.documents import load_inventory

    if get_current_settings().api.url is None:
        return None
    try:
        inventory = load_inventory()
    except ConfigurationError as error:
        typer.echo(f"the names of nodes are not looked at: {error}", err=True)
        return None
    return {*inventory.nodes, *inventory.problems}


def _show(findings: Sequence[Finding]) -> None:
    """A table a service, in the order that they were found."""
    import pandas as pd

    from workmesh_flows.operations.check import Level
    from workmesh_flows.reporting.terminal import as_table, console

    for service, group in groupby(findings, key=lambda finding: finding.service):
        rows = [(str(f.level), f.protocol or "", f.where, f.what, f.to_do) for f in group]
        frame = pd.DataFrame(rows, columns=["level", "protocol", "where", "what", "what to do"])
        console().print(as_table(service or "Tables of our own", frame))
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    told = [
        f"{count} {level}{'s' * (count > 1 and level != 'advice')}"
        for level, count in counts.items()
        if count
    ]
    typer.echo(", ".join(told) or "nothing is wrong, and nothing is missing")
