"""The command that checks a mesh's database."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.output import JsonOption, Output, UsageError, emit, titled
from workmesh_flows.cli.run_flow import mesh_of
from workmesh_flows.cli.typer_app import app
from workmesh_flows.errors import ConfigurationError

if TYPE_CHECKING:
    from workmesh_flows.operations.check import Finding

SqlOption = Annotated[
    bool, typer.Option("--sql", help="Print only the missing DDL, for review and as input of psql.")
]


@app.command()
def check(mesh: MeshOption = None, sql: SqlOption = False, as_json: JsonOption = False) -> None:
    """Check the mesh's database: tables, columns, types, keys, indexes, owners. Changes nothing.

    Exits with 1 if there are problems. Node names are checked if PREFECT_API_URL is set.
    """
    from workmesh_flows.mesh_database import unprepared_engine
    from workmesh_flows.operations.check import Level, check_mesh, missing_ddl
    from workmesh_flows.reporting.check_tables import count_findings, findings_tables

    if sql and as_json:
        raise UsageError("--sql and --json exclude each other: the document has the statements, too")
    checked = mesh_of(mesh)
    with unprepared_engine(checked) as engine:
        findings = check_mesh(engine, checked, _node_names())
    problems = [finding for finding in findings if finding.level is Level.PROBLEM]
    statements = [f"{statement};" for statement in missing_ddl(findings)]
    summary = count_findings(findings)
    tables = [titled(title, table) for title, table in findings_tables(findings)]
    hint = ["-- missing DDL; --sql prints only these statements"] if statements else []
    emit(
        Output(
            statements if sql else [*tables, summary, *hint, *statements],
            {
                "findings": [_row(finding) for finding in findings],
                "statements": [{"sql": statement} for statement in statements],
            },
            message=summary,
            problems=[str(finding) for finding in problems],
            status=ExitStatus.FAILED if problems else ExitStatus.DONE,
        )
    )


def _row(finding: Finding) -> dict[str, str | None]:
    return {
        "service": finding.service,
        "protocol": finding.protocol,
        "level": str(finding.level),
        "where": finding.where,
        "what": finding.what,
        "what_to_do": finding.to_do,
    }


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
