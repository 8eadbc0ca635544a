"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

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
LimitOption = Annotated[
    int, typer.Option("--limit", min=0, help="At most this many records per lane; 0: all.")
]
SecondsOption = Annotated[
    float,
    typer.Option(
        "--seconds", min=0, help="Begin no batch after this many seconds in a lane; 0: go on to the end."
    ),
]
NowOption = Annotated[
    bool,
    typer.Option(
        "--now", help="Ask nodes at once, even those in a pause: they were away too often, or asked for it."
    ),
]
EntitiesOption = Annotated[int, typer.Option("--limit", min=0, help="At most this many entities; 0: all.")]
RepushOption = Annotated[
    bool, typer.Option("--repush", help="Send all data again, not only what was not pulled.")
]
PinOption = Annotated[
    list[str] | None, typer.Option("--pin", help="This entity stays where it is; may be repeated.")
]
MovesOption = Annotated[
    int, typer.Option("--max-moves", min=0, help="At most this many moves; 0: any number.")
]
AtOnceOption = Annotated[
    int,
    typer.Option(
        "--at-once",
        min=0,
        help="At most this many moves out of a node, and into one, at a time; 0: as caps allow.",
    ),
]
ApplyOption = Annotated[bool, typer.Option("--apply", help="Do it; without this, only show the plan.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every column.")]
PlanOption = Annotated[
    str | None,
    typer.Option("--plan", help="The plan of this id, from an earlier run; refused if it is stale."),
]
