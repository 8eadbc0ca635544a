"""Commands about the Prefect server: its setup, and flows served without a work pool."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.run_flow import mesh_of, require_server
from workmesh_flows.cli.typer_app import app

START_SECONDS = 60.0
"""Maximum wait for a server that was just started."""

PoolOption = Annotated[str, typer.Option(help="Name of the work pool.")]


@app.command()
def setup(pool: PoolOption = "workmesh") -> None:
    """Prepare the Prefect server: register the node's block type, create a work pool of processes if it is missing."""
    from workmesh_flows.inventory.documents import wait_for_server
    from workmesh_flows.inventory.server_setup import create_pool, register_node_type

    def waiting(address: object) -> None:
        typer.echo(f"waiting up to {START_SECONDS:g} seconds for the Prefect server at {address}", err=True)

    wait_for_server(START_SECONDS, waiting)
    register_node_type()
    typer.echo("block type Workmesh Node: registered")
    typer.echo(f"work pool {pool}: {'created' if create_pool(pool) else 'exists'}")


@app.command()
def serve(mesh: MeshOption = None) -> None:
    """Serve all flows of a mesh from this process, without a work pool, until Ctrl-C."""
    from prefect import serve as serve_here

    from workmesh_flows.flows.serving import deployments
    from workmesh_flows.settings import PREFIX

    made = deployments(mesh_of(mesh))
    require_server()
    if mesh is not None:
        os.environ[f"{PREFIX}MESH"] = mesh  # each run is a process of its own and inherits the setting
    serve_here(*made)
