"""Commands that deliver records: push, pull, sync."""

from __future__ import annotations

from typing import Any

from workmesh_flows.cli.options import (
    LimitOption,
    MeshOption,
    NodeOption,
    NowOption,
    ProtocolOption,
    SecondsOption,
    ServiceArgument,
)
from workmesh_flows.cli.output import JsonOption
from workmesh_flows.cli.run_flow import run
from workmesh_flows.cli.run_output import ASSIGNMENT, LANES, emit_run
from workmesh_flows.cli.typer_app import app


def _lanes(nodes: list[str] | None, protocols: list[str] | None, now: bool) -> dict[str, Any]:
    """The parameters that choose lanes; an empty list chooses all."""
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
    as_json: JsonOption = False,
) -> None:
    """Send pending records to their nodes, in order."""
    del as_json
    limits = {"limit": limit, "seconds": seconds}
    emit_run(lambda: run("push", service, mesh, **_lanes(node, protocol, now), **limits), *LANES)


@app.command()
def pull(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
    now: NowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pull the results of processed records."""
    del as_json
    emit_run(lambda: run("pull", service, mesh, **_lanes(node, protocol, now)), *LANES)


@app.command()
def sync(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    node: NodeOption = None,
    protocol: ProtocolOption = None,
    limit: LimitOption = 0,
    seconds: SecondsOption = 0,
    now: NowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Assign, then push, then pull."""
    del as_json
    limits = {"limit": limit, "seconds": seconds}
    emit_run(lambda: run("sync", service, mesh, **_lanes(node, protocol, now), **limits), *ASSIGNMENT, *LANES)
