"""The command that deletes old history."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.output import JsonOption, Output, UsageError, emit, titled
from workmesh_flows.cli.run_flow import run_of_mesh
from workmesh_flows.cli.typer_app import app
from workmesh_flows.domain import option_texts as texts
from workmesh_flows.errors import ConfigurationError

OlderThanOption = Annotated[
    str,
    typer.Option(
        "--older-than", help=f"{texts.OLDER_THAN} Default: the setting KEEP_DAYS.", show_default=False
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=texts.DRY_PRUNE)]


@app.command()
def prune(
    mesh: MeshOption = None,
    older_than: OlderThanOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete old runs, versions of artifacts, and rows of the Workmesh tables that nothing needs any more.

    Safe to repeat, and beside other runs.
    """
    del as_json
    if older_than:
        from workmesh_flows.domain.age import parse_age

        try:
            parse_age(older_than)  # before a run is started
        except ConfigurationError as error:
            raise UsageError(str(error)) from error
    result = run_of_mesh("prune", mesh, older_than=older_than, dry_run=dry_run)
    from workmesh_flows.reporting.json_document import rows_of
    from workmesh_flows.reporting.prune_table import prune_table

    table = prune_table(result.pruned)
    shown = titled("Would delete" if dry_run else "Deleted", table)
    emit(Output([result.message, shown], {"pruned": rows_of(table)}, message=result.message))
