"""Commands that work on this machine alone: write a project, run the demo, serve a micro-service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from workmesh_flows.cli.typer_app import app

FolderArgument = Annotated[Path, typer.Argument(help="Folder to write to; created if it is missing.")]
NameOption = Annotated[
    str | None,
    typer.Option(help="Name of the Python package. Default: the folder's name.", show_default=False),
]
SampleDatabaseOption = Annotated[
    str | None,
    typer.Option(help="Address of an empty database. Default: a temporary SQLite file."),
]
ServeOption = Annotated[
    bool,
    typer.Option("--serve", help="Keep server, nodes and deployments running for the UI, until Ctrl-C."),
]
ReferenceArgument = Annotated[str, typer.Argument(help="The micro-service, as module:attribute.")]
HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
PortOption = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")]
NodeDatabaseOption = Annotated[
    str | None, typer.Option(help="Path of its SQLite file. Default: WORKMESH_DATABASE, then <name>.db.")
]


@app.command()
def init(folder: FolderArgument = Path(), name: NameOption = None) -> None:
    """Write a working project: tables, mesh, micro-service, deployments, test. Replace its tables with your own."""
    from workmesh_flows.scaffold import API, next_steps, write_project

    api = os.environ.get("PREFECT_API_URL", API)
    package, written = write_project(folder, name, api=api)
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(next_steps(folder, package, api=api))


@app.command()
def demo(database: SampleDatabaseOption = None, serve: ServeOption = False) -> None:
    """Run the main job on a sample: 200 accounts, 20,000 records, three nodes, a Prefect server."""
    from workmesh_flows.demo.run import run_demo

    run_demo(database=database, serve=serve)


@app.command()
def microservice(
    reference: ReferenceArgument,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    database: NodeDatabaseOption = None,
) -> None:
    """Serve a micro-service on this machine. Its API key is read from the environment: WORKMESH_API_KEY."""
    import logging

    from workmesh_flows.microservice import MicroService, serve
    from workmesh_flows.references import load_reference

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    serve(load_reference(reference, MicroService), host, port, database=database)
