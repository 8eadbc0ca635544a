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
from workmesh_flows.cli.run_flow import run
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
    """Pull the results of processed records."""
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
    """Assign, then push, then pull."""
    run("sync", service, mesh, **_lanes(node, protocol, now), limit=limit, seconds=seconds)
