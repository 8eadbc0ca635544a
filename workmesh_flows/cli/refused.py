"""Commands about refused and failed records: list them, send them again, or skip them."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.options import REPEATABLE, MeshOption, ProtocolOption, ServiceArgument
from workmesh_flows.cli.output import JsonOption, Output, one_table
from workmesh_flows.cli.run_flow import mesh_of, run
from workmesh_flows.cli.run_output import LANES, emit_run
from workmesh_flows.cli.typer_app import app
from workmesh_flows.cli.watching import WatchOption, emit_again
from workmesh_flows.domain import option_texts as texts

RecordOption = Annotated[list[str] | None, typer.Option("--record", help=f"{texts.RECORDS} {REPEATABLE}")]
EntityOption = Annotated[
    list[str] | None, typer.Option("--entity", help=f"{texts.REFUSED_ENTITIES} {REPEATABLE}")
]
FailedOption = Annotated[bool, typer.Option("--failed", help=texts.FAILED)]
SkipOption = Annotated[bool, typer.Option("--skip", help=texts.SKIP)]
PushOption = Annotated[bool, typer.Option("--push/--no-push", help=texts.PUSH_AFTERWARDS)]


@app.command()
def failed(
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    watch: WatchOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show refused and failed records: state, attempts, records waiting behind, reason.

    Refused by their node: retrying, parked, blocking, skipped. Accepted, but not processed: failed, or replayed (pending).
    """
    from workmesh_flows.status import refused_records

    del as_json
    loaded = mesh_of(mesh)

    def read() -> Output:
        frame = refused_records(loaded, [service] if service else [])
        title = "Refused and failed records (retrying, parked, blocking, skipped; failed, replayed)"
        return one_table("records", title, frame, empty="no record is refused or failed")

    emit_again(read, watch)


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    record: RecordOption = None,
    entity: EntityOption = None,
    protocol: ProtocolOption = None,
    failed: FailedOption = False,
    skip: SkipOption = False,
    push: PushOption = True,
    as_json: JsonOption = False,
) -> None:
    """Send parked and blocking records again, all or the named ones; with --record or --entity also retrying ones.

    With --failed, send records again that a node accepted and could not process. Or skip the named refused ones.
    """
    del as_json
    parameters = {
        "records": record or [],
        "entities": entity or [],
        "protocols": protocol or [],
        "failed": failed,
        "skip": skip,
        "push": push,
    }
    emit_run(lambda: run("replay", service, mesh, **parameters), *LANES)
