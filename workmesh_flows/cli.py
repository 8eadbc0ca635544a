"""The command line: ``workmesh``. Heavy imports wait until a command needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workmesh_flows.errors import ConfigurationError, WorkmeshError

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.domain.service import Mesh

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Hand records to a fleet of micro-services: decide which node works for whom, push, pull, look.",
)

MeshOption = Annotated[
    str | None,
    typer.Option(
        "--mesh",
        help="The mesh: module:attribute. Default: the setting PREFECT_INTEGRATIONS_WORKMESH_MESH.",
        show_default=False,
    ),
]
ServiceArgument = Annotated[
    str | None,
    typer.Argument(help="The service's name; may be left out where the mesh has one.", show_default=False),
]
NodeOption = Annotated[list[str] | None, typer.Option("--node", help="Only this node; may be repeated.")]
ProtocolOption = Annotated[
    list[str] | None, typer.Option("--protocol", help="Only this protocol; may be repeated.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many records a lane.")]
EntitiesOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many entities.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every column.")]


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
    from workmesh_flows.demo.story import run_demo

    run_demo(database=database, serve=serve)


@app.command()
def nodes(mesh: MeshOption = None, every: AllOption = False) -> None:
    """Show the nodes: state, what they hold, what waits, what failed, what is done."""
    from workmesh_flows.operations.tables import NODE_COLUMNS
    from workmesh_flows.status import node_status

    _show("Nodes", node_status(_mesh(mesh)), None if every else NODE_COLUMNS)


@app.command()
def services(mesh: MeshOption = None, every: AllOption = False) -> None:
    """Show the services: their nodes and entities, what waits, what is in flight, what is done."""
    from workmesh_flows.operations.tables import SERVICE_COLUMNS
    from workmesh_flows.status import service_status

    _show("Services", service_status(_mesh(mesh)), None if every else SERVICE_COLUMNS)


@app.command()
def assign(service: ServiceArgument = None, mesh: MeshOption = None, limit: EntitiesOption = None) -> None:
    """Give each entity without a node one."""
    _run("assign", service, mesh, limit=limit)


@app.command()
def push(
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
    limit: LimitOption = None,
) -> None:
    """Send pending records to their nodes, in order."""
    _run("push", service, mesh, nodes=node or [], protocols=protocol or [], limit=limit)


@app.command()
def pull(
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
) -> None:
    """Collect the results of processed records."""
    _run("pull", service, mesh, nodes=node or [], protocols=protocol or [])


@app.command()
def sync(
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
    limit: LimitOption = None,
) -> None:
    """Assign, push and pull, one after the other."""
    _run("sync", service, mesh, nodes=node or [], protocols=protocol or [], limit=limit)


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


def main() -> None:
    """Run a command; a failure is one line and exit status 1. WORKMESH_TRACEBACK=1 shows where it came from."""
    try:
        app()
    except Exception as error:
        if os.environ.get("WORKMESH_TRACEBACK"):
            raise
        text = str(error) if isinstance(error, WorkmeshError) else f"{type(error).__name__}: {error}"
        sys.stderr.write(f"workmesh: {text}\n")
        sys.exit(1)


def _mesh(reference: str | None) -> Mesh:
    from workmesh_flows.domain.service import Mesh
    from workmesh_flows.references import load_reference
    from workmesh_flows.settings import PREFIX, read_settings

    name = reference or read_settings().mesh
    if name is None:
        raise ConfigurationError(f"no mesh is named: give --mesh module:attribute, or set {PREFIX}MESH")
    return load_reference(name, Mesh)


def _run(action: str, service: str | None, reference: str | None, **parameters: Any) -> None:  # noqa: ANN401
    """Run a flow here, as a run that the Prefect server sees."""
    # Before Prefect is imported; the bars say the rest.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    from rich.console import Console

    from workmesh_flows.flows import service_flows
    from workmesh_flows.printing import progress_shown

    mesh = _mesh(reference)
    names = [known.name for known in mesh.services]
    if service is None and len(names) != 1:
        raise ConfigurationError(f"name one of the mesh's services: {', '.join(names)}")
    flows = service_flows(mesh, service or names[0], module=__name__)
    with progress_shown(Console(stderr=True)):
        outcome = getattr(flows, action)(**parameters)
    typer.echo(outcome.message)


def _show(title: str, frame: pd.DataFrame, columns: Sequence[str] | None) -> None:
    from workmesh_flows.printing import as_table, console

    console().print(as_table(title, frame if columns is None else frame[list(columns)]))


if __name__ == "__main__":
    main()
