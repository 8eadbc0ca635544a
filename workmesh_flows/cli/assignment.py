"""The command that assigns entities."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.options import REPEATABLE, ForceOption, MeshOption, ServiceArgument
from workmesh_flows.cli.output import JsonOption, UsageError
from workmesh_flows.cli.run_flow import run, run_of_mesh
from workmesh_flows.cli.run_output import ASSIGNMENT, NAMED, emit_run
from workmesh_flows.cli.typer_app import app
from workmesh_flows.domain import option_texts as texts

EntityOption = Annotated[
    list[str] | None, typer.Option("--entity", help=f"{texts.ASSIGNED_ENTITIES} {REPEATABLE}")
]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help=texts.ENTITY_LIMIT)]
ReassignOption = Annotated[bool, typer.Option("--reassign", help=texts.REASSIGN)]
RepushOption = Annotated[bool, typer.Option("--repush", help=texts.REPUSH_ENTITIES)]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help=texts.DRY_ASSIGN)]
TogetherOption = Annotated[
    bool,
    typer.Option(
        "--together", help="Assign for all services of the mesh at once; the only other option is --force."
    ),
]


@app.command()
def assign(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    entity: EntityOption = None,
    limit: LimitOption = 0,
    reassign: ReassignOption = False,
    repush: RepushOption = False,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    together: TogetherOption = False,
    as_json: JsonOption = False,
) -> None:
    """Assign each entity without a node to one. Or move named entities to other nodes, or send their data again."""
    del as_json
    if together:
        if service or entity or limit or reassign or repush or dry_run:
            raise UsageError(
                "--together assigns all entities of all services: the only other option is --force"
            )
        emit_run(lambda: run_of_mesh("assign", mesh, force=force), *ASSIGNMENT)
        return
    if (reassign or repush) and not entity:
        raise UsageError(
            "--reassign and --repush require --entity; workmesh rebalance moves entities of all nodes"
        )
    if dry_run and entity:
        raise UsageError("--dry-run plans all entities without a node: it excludes --entity")
    options = {"reassign": reassign, "repush": repush, "dry_run": dry_run, "force": force}
    emit_run(
        lambda: run("assign", service, mesh, entities=entity or [], limit=limit, **options),
        *ASSIGNMENT,
        *NAMED,
    )
