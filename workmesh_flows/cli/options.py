"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.completion import complete_node, complete_protocol, complete_service
from workmesh_flows.domain import option_texts as texts

REPEATABLE = "May be repeated."

MeshOption = Annotated[
    str | None,
    typer.Option(
        "--mesh",
        help="The mesh, as module:attribute. Default: the setting PREFECT_INTEGRATIONS_WORKMESH_MESH.",
        show_default=False,
    ),
]
ServiceArgument = Annotated[
    str | None,
    typer.Argument(
        help="Name of the service; optional if the mesh has only one.",
        show_default=False,
        autocompletion=complete_service,
    ),
]
NodeOption = Annotated[
    list[str] | None,
    typer.Option("--node", help=f"{texts.NODES} {REPEATABLE}", autocompletion=complete_node),
]
ProtocolOption = Annotated[
    list[str] | None,
    typer.Option("--protocol", help=f"{texts.PROTOCOLS} {REPEATABLE}", autocompletion=complete_protocol),
]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help=texts.RECORD_LIMIT)]
SecondsOption = Annotated[float, typer.Option("--seconds", min=0, help=texts.SECONDS)]
NowOption = Annotated[bool, typer.Option("--now", help=texts.NOW)]
PlanOption = Annotated[str | None, typer.Option("--plan", help=texts.PLAN)]
ApplyOption = Annotated[
    bool, typer.Option("--apply", help="Apply the plan. Without this option, only show it.")
]
PinOption = Annotated[list[str] | None, typer.Option("--pin", help=f"{texts.PINNED} {REPEATABLE}")]
MovesOption = Annotated[int, typer.Option("--max-moves", min=0, help=texts.MAX_MOVES)]
AtOnceOption = Annotated[int, typer.Option("--at-once", min=0, help=texts.AT_ONCE)]
RepushOption = Annotated[bool, typer.Option("--repush", help=texts.REPUSH_MOVED)]
ForceOption = Annotated[bool, typer.Option("--force", help=texts.FORCE)]
AllOption = Annotated[bool, typer.Option("--all", help="Show every column.")]
