"""Commands that show tables and pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import (
    AllOption,
    MeshOption,
)
from workmesh_flows.cli.run_flow import mesh_of, require_server, show
from workmesh_flows.errors import ConfigurationError


@app.command()
def services(mesh: MeshOption = None, every: AllOption = False) -> None:
    """Show the services: their nodes and entities, what waits, what is in flight, what is done."""
    from workmesh_flows.reporting.status_tables import SERVICE_COLUMNS
    from workmesh_flows.status import service_status

    require_server()
    show("Services", service_status(mesh_of(mesh)), None if every else SERVICE_COLUMNS)


@app.command()
def report(
    html: Annotated[Path, typer.Option("--html", help="File to write.")], mesh: MeshOption = None
) -> None:
    """Write the pages of the mesh and of its services into one file, for those who do not see Prefect."""
    from workmesh_flows.observability.pages import html_report

    require_server()
    text = html_report(mesh_of(mesh))
    try:
        html.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{html} cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {html}")


@app.command()
def lanes(mesh: MeshOption = None, every: AllOption = False) -> None:
    """Show the lanes: who works them, their circuit breakers, what went over them so far."""
    from workmesh_flows.reporting.lane_table import LANE_COLUMNS
    from workmesh_flows.status import lane_status

    frame = lane_status(mesh_of(mesh))
    if frame.empty:
        typer.echo("no lane was worked yet")
        return
    show("Lanes", frame, None if every else LANE_COLUMNS)
