"""Commands: the demo, the tables, and a run of each flow but those that move entities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workmesh_flows.cli.acting import mesh_of, run, run_of_mesh, see_server, show
from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import (
    AllOption,
    EntitiesOption,
    LimitOption,
    MeshOption,
    NodeOption,
    NowOption,
    ProtocolOption,
    RepushOption,
    SecondsOption,
    ServiceArgument,
)
from workmesh_flows.errors import ConfigurationError


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
def services(mesh: MeshOption = None, every: AllOption = False) -> None:
    """Show the services: their nodes and entities, what waits, what is in flight, what is done."""
    from workmesh_flows.reporting.status_tables import SERVICE_COLUMNS
    from workmesh_flows.status import service_status

    see_server()
    show("Services", service_status(mesh_of(mesh)), None if every else SERVICE_COLUMNS)


@app.command()
def report(
    html: Annotated[Path, typer.Option("--html", help="File to write.")], mesh: MeshOption = None
) -> None:
    """Write the pages of the mesh and of its services into one file, for those who do not see Prefect."""
    from workmesh_flows.report import whole_report

    see_server()
    text = whole_report(mesh_of(mesh))
    try:
        html.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{html} cannot be written: {error.strerror}") from error
    typer.echo(f"wrote {html}")


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


def _lanes(nodes: list[str] | None, protocols: list[str] | None, now: bool) -> dict[str, Any]:
    """Which lanes: those of some nodes and protocols, or all; also those whose pause is not over."""
    return {"nodes": nodes or [], "protocols": protocols or [], "now": now}


@app.command()
def push(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
    limit: LimitOption = 0,
    seconds: SecondsOption = 0,
    now: NowOption = False,
) -> None:
    """Send pending records to their nodes, in order."""
    run("push", service, mesh, **_lanes(node, protocol, now), limit=limit, seconds=seconds)


@app.command()
def pull(
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
    now: NowOption = False,
) -> None:
    """Collect the results of processed records."""
    run("pull", service, mesh, **_lanes(node, protocol, now))


@app.command()
def sync(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
    limit: LimitOption = 0,
    seconds: SecondsOption = 0,
    now: NowOption = False,
) -> None:
    """Assign, push and pull, one after the other."""
    run("sync", service, mesh, **_lanes(node, protocol, now), limit=limit, seconds=seconds)


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
