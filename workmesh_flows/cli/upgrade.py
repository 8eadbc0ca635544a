"""The command that upgrades the Workmesh tables."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.output import JsonOption, Output, UsageError, emit
from workmesh_flows.cli.run_flow import mesh_of
from workmesh_flows.cli.typer_app import app

SqlOption = Annotated[
    bool, typer.Option("--sql", help="Print only the statements, for review and as input of psql or sqlite3.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Upgrade even while runs hold lanes.")]


@app.command()
def upgrade(
    mesh: MeshOption = None, sql: SqlOption = False, force: ForceOption = False, as_json: JsonOption = False
) -> None:
    """Upgrade the Workmesh tables of the mesh's database to the version of this release, in one transaction.

    Safe to repeat. Changes nothing while runs hold lanes.
    """
    from workmesh_flows.mesh_database import unprepared_engine
    from workmesh_flows.operations import upgrade as operation

    if sql and as_json:
        raise UsageError("--sql and --json exclude each other")
    with unprepared_engine(mesh_of(mesh)) as engine:
        if sql:
            typer.echo(operation.upgrade_as_sql(engine))
            return
        plan = operation.plan_upgrade(engine)
        if not as_json:
            for version, title in plan.steps:
                typer.echo(f"{version}  {title}")
        found = operation.upgrade(engine, force=force)
    if found is None:
        summary = f"{plan.place}: created the Workmesh tables in version {plan.needed}"
    elif found == plan.needed:
        summary = f"{plan.place}: the Workmesh tables have version {found}, nothing to do"
    else:
        summary = f"{plan.place}: upgraded the Workmesh tables from version {found} to {plan.needed}"
    steps = [{"version": version, "title": title} for version, title in plan.steps]
    emit(Output([summary], {"migrations": steps}, message=summary))
