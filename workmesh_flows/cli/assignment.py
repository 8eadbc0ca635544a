"""The command that assigns entities."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import (
    EntitiesOption,
    MeshOption,
    RepushOption,
    ServiceArgument,
)
from workmesh_flows.cli.run_flow import run, run_of_mesh
from workmesh_flows.errors import ConfigurationError


@app.command()
def assign(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", help="Only this entity, by key; may be repeated.")
    ] = None,
    limit: EntitiesOption = 0,
    reassign: Annotated[bool, typer.Option("--reassign", help="Give these entities another node.")] = False,
    repush: RepushOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show which node each would get; not with --entity.")
    ] = False,
    together: Annotated[
        bool, typer.Option("--together", help="All services of the mesh at once, without other options.")
    ] = False,
) -> None:
    """Give each entity without a node one; or give entities another one, or send their data again."""
    if together:
        if service or entity or limit or reassign or repush or dry_run:
            raise ConfigurationError("--together is for all entities of all services: give nothing else")
        run_of_mesh("assign", mesh)
        return
    run(
        "assign",
        service,
        mesh,
        entities=entity or [],
        limit=limit,
        reassign=reassign,
        repush=repush,
        dry_run=dry_run,
    )
