"""Commands about the Prefect server: what it needs to know, flows served without a pool, automations."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.run_flow import mesh_of, require_server

automations_app = typer.Typer(no_args_is_help=True, help="Be told when something needs you.")
app.add_typer(automations_app, name="automations")

SERVER_SECONDS = 60.0
"""A server that was just started answers after some of them."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; it is made if it is not there.")] = Path(),
    name: Annotated[
        str | None,
        typer.Option(help="Name of the Python package. Default: the folder's.", show_default=False),
    ] = None,
) -> None:
    """Write a project: tables, a mesh, a micro-service, deployments, a test. It runs as it is; fill in your own."""
    from workmesh_flows.scaffold import API, next_steps, write_project

    api = os.environ.get("PREFECT_API_URL", API)
    package, written = write_project(folder, name, api=api)
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(next_steps(folder, package, api=api))


@app.command()
def setup(
    pool: Annotated[str, typer.Option(help="Name of the work pool.")] = "workmesh",
) -> None:
    """Make the Prefect server ready: the node's block type, and a work pool of processes if there is none of that name."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    from workmesh_flows.blocks import WorkmeshNode
    from workmesh_flows.inventory.documents import wait_for_server

    def waiting(address: object) -> None:
        typer.echo(f"waiting for the Prefect server at {address}, up to {SERVER_SECONDS:g} seconds", err=True)

    wait_for_server(SERVER_SECONDS, waiting)
    WorkmeshNode.register_type_and_schema()
    typer.echo("block type Workmesh Node: registered")
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        except ObjectAlreadyExists:
            typer.echo(f"work pool {pool}: there already")
        else:
            typer.echo(f"work pool {pool}: made")


@app.command()
def serve(mesh: MeshOption = None) -> None:
    """Serve all flows of a mesh from this process, without a work pool, until Ctrl-C."""
    from prefect import serve as serve_here

    from workmesh_flows.flows.serving import deployments
    from workmesh_flows.settings import PREFIX

    made = deployments(mesh_of(mesh))
    require_server()
    if mesh is not None:
        os.environ[f"{PREFIX}MESH"] = mesh  # each run is a process of its own
    serve_here(*made)


@automations_app.command()
def install(
    notify: Annotated[
        str | None,
        typer.Option(help="Block that tells you, as in slack-webhook/ops. Without: the event feed alone."),
    ] = None,
    away_after: Annotated[
        float, typer.Option(min=10, help="Seconds that a node is away before you are told.")
    ] = 600,
    dead_after: Annotated[
        float,
        typer.Option(min=960, help="Seconds without a sign of life after which a run is marked as crashed."),
    ] = 1_200,
) -> None:
    """Install automations for stopped lanes, records set aside, entities without a node, nodes away, and dead runs."""
    from workmesh_flows.observability.automations import install as install_automations

    require_server()
    for line in install_automations(notify=notify, away_after=away_after, dead_after=dead_after):
        typer.echo(line)
    if notify is None:
        typer.echo("what happens shows in the event feed; to be told, name a block with --notify")
