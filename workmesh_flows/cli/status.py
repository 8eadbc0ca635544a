"""Commands that show services and lanes, and write the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from workmesh_flows.cli.options import AllOption, MeshOption
from workmesh_flows.cli.output import JsonOption, Output, one_table
from workmesh_flows.cli.run_flow import mesh_of, require_server
from workmesh_flows.cli.typer_app import app
from workmesh_flows.cli.watching import WatchOption, emit_again
from workmesh_flows.cli.written_file import write_text

ExactOption = Annotated[
    bool,
    typer.Option(
        "--exact", help="Count all processed records, and correct the sums that other programs made wrong."
    ),
]


@app.command()
def services(
    mesh: MeshOption = None,
    every: AllOption = False,
    exact: ExactOption = False,
    watch: WatchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the services: nodes, entities, and pending, failed, in-flight and processed records."""
    from workmesh_flows.reporting.status_tables import SERVICE_COLUMNS
    from workmesh_flows.status import correct_counts, service_status

    del as_json
    loaded = mesh_of(mesh)

    def read() -> Output:
        corrections = correct_counts(loaded) if exact else []
        columns = None if every else SERVICE_COLUMNS
        output = one_table("services", "Services", service_status(loaded), columns)
        return replace(output, shown=[*corrections, *output.shown], message="; ".join(corrections))

    emit_again(read, watch)


@app.command()
def report(
    html: Annotated[Path, typer.Option("--html", help="File to write.")], mesh: MeshOption = None
) -> None:
    """Write the pages of the mesh and its services to one HTML file, for readers without access to Prefect."""
    from workmesh_flows.observability.pages import html_report

    require_server()
    write_text(html, html_report(mesh_of(mesh)))
    typer.echo(f"wrote {html}")


@app.command()
def lanes(
    mesh: MeshOption = None,
    every: AllOption = False,
    watch: WatchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the lanes: the run that holds each, its circuit breaker, processed records and failed answers."""
    from workmesh_flows.reporting.lane_table import LANE_COLUMNS
    from workmesh_flows.status import lane_status

    del as_json
    loaded = mesh_of(mesh)

    def read() -> Output:
        columns = None if every else LANE_COLUMNS
        return one_table("lanes", "Lanes", lane_status(loaded), columns, empty="no lane has run yet")

    emit_again(read, watch)
