"""The command that checks a mesh's database."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Annotated

import typer

from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.run_flow import mesh_of, show
from workmesh_flows.cli.typer_app import app
from workmesh_flows.errors import ConfigurationError

SqlOption = Annotated[
    bool, typer.Option("--sql", help="Print only the missing DDL, for review and as input of psql.")
]


@app.command()
def check(mesh: MeshOption = None, sql: SqlOption = False) -> None:
    """Check the mesh's database: tables, columns, types, keys, indexes, owners. Changes nothing.

    Exits with 1 if there are problems. Node names are checked if PREFECT_API_URL is set.
    """
    from workmesh_flows.mesh_database import unprepared_engine
    from workmesh_flows.operations.check import Level, check_mesh, missing_ddl
    from workmesh_flows.reporting.check_tables import count_findings, findings_tables

    checked = mesh_of(mesh)
    with unprepared_engine(checked) as engine:
        findings = check_mesh(engine, checked, _node_names())
    statements = missing_ddl(findings)
    if not sql:
        for title, table in findings_tables(findings):
            show(title, table)
        typer.echo(count_findings(findings))
        if statements:
            typer.echo("-- missing DDL; --sql prints only these statements")
    for statement in statements:
        typer.echo(f"{statement};")
    if any(finding.level is Level.PROBLEM for finding in findings):
        sys.exit(1)


def _node_names() -> Collection[str] | None:
    """The names of all nodes; None if no Prefect server is set or the server does not answer."""
    from prefect.settings import get_current_settings

    from workmesh_flows.inventory.documents import load_inventory

    if get_current_settings().api.url is None:
        return None
    try:
        inventory = load_inventory()
    except ConfigurationError as error:
        typer.echo(f"node names were not checked: {error}", err=True)
        return None
    return {*inventory.nodes, *inventory.problems}
