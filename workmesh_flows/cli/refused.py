"""Commands about refused records: list them, send them again, or skip them."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.options import REPEATABLE, MeshOption, ProtocolOption, ServiceArgument
from workmesh_flows.cli.run_flow import mesh_of, run, show
from workmesh_flows.cli.typer_app import app
from workmesh_flows.domain import option_texts as texts

RecordOption = Annotated[list[str] | None, typer.Option("--record", help=f"{texts.RECORDS} {REPEATABLE}")]
EntityOption = Annotated[
    list[str] | None, typer.Option("--entity", help=f"{texts.REFUSED_ENTITIES} {REPEATABLE}")
]
SkipOption = Annotated[bool, typer.Option("--skip", help=texts.SKIP)]
PushOption = Annotated[bool, typer.Option("--push/--no-push", help=texts.PUSH_AFTERWARDS)]


@app.command()
def failed(service: ServiceArgument = None, mesh: MeshOption = None) -> None:
    """Show refused records: state (retrying, parked, blocking, skipped), attempts, records waiting behind, reason."""
    from workmesh_flows.status import refused_records

    frame = refused_records(mesh_of(mesh), [service] if service else [])
    if frame.empty:
        typer.echo("no record is refused")
        return
    show("Refused records (retrying, parked, blocking, skipped)", frame)


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    record: RecordOption = None,
    entity: EntityOption = None,
    protocol: ProtocolOption = None,
    skip: SkipOption = False,
    push: PushOption = True,
) -> None:
    """Send parked and blocking records again, all or the named ones; with --record or --entity also retrying ones.

    Or skip the named ones.
    """
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
