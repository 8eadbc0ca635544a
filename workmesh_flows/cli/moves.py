"""Commands that move entities, and the log of their moves."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.options import (
    ApplyOption,
    AtOnceOption,
    MeshOption,
    MovesOption,
    PinOption,
    PlanOption,
    RepushOption,
    ServiceArgument,
)
from workmesh_flows.cli.run_flow import mesh_of, run, run_of_mesh, show, show_plans
from workmesh_flows.planning.moves import Objective


@app.command()
def rebalance(  # noqa: PLR0913, PLR0917 - each is an option
    service: ServiceArgument = None,
    mesh: MeshOption = None,
    apply: ApplyOption = False,
    plan: PlanOption = None,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="How far a node may be above its share; 0.01 is 1 %.")
    ] = 0.01,
    objective: Annotated[
        Objective, typer.Option(help="Move the least weight, or make the fewest moves.")
    ] = "weight",
    emergency: Annotated[
        bool, typer.Option("--emergency", help="Only relieve nodes that are over a cap.")
    ] = False,
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only away from this node; may be repeated.")
    ] = None,
    pin: PinOption = None,
    max_moves: MovesOption = 0,
    at_once: AtOnceOption = 0,
    repush: RepushOption = False,
) -> None:
    """Even out the nodes with as little movement as it takes. Shows the plan; --apply carries it out."""
    outcome = run(
        "rebalance",
        service,
        mesh,
        dry_run=not apply,
        plan=plan or "",
        tolerance=tolerance,
        objective=objective,
        emergency=emergency,
        sources=source or [],
        pinned=pin or [],
        max_moves=max_moves,
        at_once=at_once,
        repush=repush,
    )
    show_plans(outcome)


@app.command()
def drain(  # noqa: PLR0913, PLR0917 - each is an option
    nodes: Annotated[list[str], typer.Argument(help="The nodes to empty.", show_default=False)],
    mesh: MeshOption = None,
    apply: ApplyOption = False,
    plan: PlanOption = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Let them take entities again; what was moved stays.")
    ] = False,
    pin: PinOption = None,
    max_moves: MovesOption = 0,
    at_once: AtOnceOption = 0,
    repush: RepushOption = False,
) -> None:
    """Empty nodes, for all their services. Shows the plans; --apply carries them out, and may be run again."""
    outcome = run_of_mesh(
        "drain",
        mesh,
        nodes=nodes,
        dry_run=not apply,
        plan=plan or "",
        revoke=revoke,
        pinned=pin or [],
        max_moves=max_moves,
        at_once=at_once,
        repush=repush,
    )
    show_plans(outcome)


@app.command()
def moves(
    mesh: MeshOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many, the newest first.")] = 50,
) -> None:
    """Show the move log: which entity went from where to where, why, and when."""
    from workmesh_flows.status import moves_made

    show("Moves", moves_made(mesh_of(mesh), limit=limit), None)
