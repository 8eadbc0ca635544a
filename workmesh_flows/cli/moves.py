"""Commands that move entities, and the log of their moves."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.completion import complete_node
from workmesh_flows.cli.options import (
    REPEATABLE,
    ApplyOption,
    AtOnceOption,
    ForceOption,
    MeshOption,
    MovesOption,
    PinOption,
    PlanOption,
    RepushOption,
    ServiceArgument,
)
from workmesh_flows.cli.output import JsonOption, emit, one_table
from workmesh_flows.cli.run_flow import mesh_of, run, run_of_mesh
from workmesh_flows.cli.run_output import MOVES, emit_run
from workmesh_flows.cli.typer_app import app
from workmesh_flows.domain import option_texts as texts
from workmesh_flows.planning.moves import Objective

ToleranceOption = Annotated[float, typer.Option(min=0, max=1, help=texts.TOLERANCE)]
ObjectiveOption = Annotated[Objective, typer.Option(help=texts.OBJECTIVE)]
EmergencyOption = Annotated[bool, typer.Option("--emergency", help=texts.EMERGENCY)]
SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", help=f"{texts.SOURCES} {REPEATABLE}", autocompletion=complete_node),
]
NodesArgument = Annotated[
    list[str],
    typer.Argument(
        help=f"{texts.DRAINED_NODES} With --apply they take no new entities from then on.",
        show_default=False,
        autocompletion=complete_node,
    ),
]
RevokeOption = Annotated[bool, typer.Option("--revoke", help=texts.REVOKE)]
LogLimitOption = Annotated[int, typer.Option("--limit", min=1, help="Number of moves, newest first.")]


@app.command()
def rebalance(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    apply: ApplyOption = False,
    plan: PlanOption = None,
    tolerance: ToleranceOption = 0.01,
    objective: ObjectiveOption = "weight",
    emergency: EmergencyOption = False,
    source: SourceOption = None,
    pin: PinOption = None,
    max_moves: MovesOption = 0,
    at_once: AtOnceOption = 0,
    repush: RepushOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Even out the nodes, moving as little weight as possible. Shows the plan; --apply applies it."""
    del as_json
    parameters = {
        "dry_run": not apply,
        "plan": plan or "",
        "tolerance": tolerance,
        "objective": objective,
        "emergency": emergency,
        "sources": source or [],
        "pinned": pin or [],
        "max_moves": max_moves,
        "at_once": at_once,
        "repush": repush,
        "force": force,
    }
    emit_run(lambda: run("rebalance", service, mesh, **parameters), *MOVES)


@app.command()
def drain(  # noqa: PLR0913, PLR0917 - each is an option
    nodes: NodesArgument,
    mesh: MeshOption = None,
    apply: ApplyOption = False,
    plan: PlanOption = None,
    revoke: RevokeOption = False,
    pin: PinOption = None,
    max_moves: MovesOption = 0,
    at_once: AtOnceOption = 0,
    repush: RepushOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Empty nodes, for all their services. Shows the plans; --apply applies them, and may be repeated after a failure."""
    del as_json
    parameters = {
        "nodes": nodes,
        "dry_run": not apply,
        "plan": plan or "",
        "revoke": revoke,
        "pinned": pin or [],
        "max_moves": max_moves,
        "at_once": at_once,
        "repush": repush,
        "force": force,
    }
    emit_run(lambda: run_of_mesh("drain", mesh, **parameters), *MOVES)


@app.command()
def moves(mesh: MeshOption = None, limit: LogLimitOption = 50, as_json: JsonOption = False) -> None:
    """Show the log of moves: which entity moved from which node to which, why, and when."""
    from workmesh_flows.status import moves_made

    del as_json
    frame = moves_made(mesh_of(mesh), limit=limit)
    emit(one_table("moves", "Moves", frame))
