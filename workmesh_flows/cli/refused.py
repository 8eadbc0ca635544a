"""Commands about delivery: the lanes; refused records, listed, sent again or skipped."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import MeshOption, ProtocolOption, ServiceArgument
from workmesh_flows.cli.run_flow import mesh_of, run, show

RecordOption = Annotated[
    list[str] | None, typer.Option("--record", help="Only this record, by id; may be repeated.")
]
EntityOption = Annotated[
    list[str] | None,
    typer.Option("--entity", help="Only the refused records of this entity, by key; may be repeated."),
]


@app.command()
def parked(service: ServiceArgument = None, mesh: MeshOption = None) -> None:
    """Show the refused records: how often each was tried, what waits behind it, since when, and why."""
    from workmesh_flows.status import refused_records

    frame = refused_records(mesh_of(mesh), [service] if service else [])
    if frame.empty:
        typer.echo("no record was refused, or all of them were pushed since")
        return
    show("Refused records", frame, None)


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    record: RecordOption = None,
    entity: EntityOption = None,
    protocol: ProtocolOption = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="Do not send them any more; what waits behind them goes on.")
    ] = False,
    push: Annotated[bool, typer.Option("--push/--no-push", help="Push afterwards.")] = True,
) -> None:
    """Send records again that were set aside after their last refusal: all, or those named; or skip those named."""
    run(
        "replay",
        service,
        mesh,
        records=record or [],
        entities=entity or [],
        protocols=protocol or [],
        skip=skip,
        push=push,
    )
