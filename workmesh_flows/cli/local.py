"""Commands that run something on this machine: the demo, a micro-service."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.app import app


@app.command()
def demo(
    database: Annotated[
        str | None, typer.Option(help="Address of an empty database. Default: a SQLite file that is removed.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Leave server, nodes and deployments up for the UI, until Ctrl-C.")
    ] = False,
) -> None:
    """Run the main job on a sample: 200 accounts, 20,000 records, three nodes, a Prefect server."""
    from workmesh_flows.demo.run import run_demo

    run_demo(database=database, serve=serve)


@app.command()
def microservice(
    reference: Annotated[str, typer.Argument(help="The micro-service: module:attribute.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    database: Annotated[
        str | None, typer.Option(help="Path of its SQLite file. Default: WORKMESH_DATABASE, then <name>.db.")
    ] = None,
) -> None:
    """Serve a micro-service on this machine. The api key comes from WORKMESH_API_KEY in the environment."""
    import logging

    from workmesh_flows.microservice import MicroService, serve
    from workmesh_flows.references import load_reference

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    serve(load_reference(reference, MicroService), host, port, database=database)
