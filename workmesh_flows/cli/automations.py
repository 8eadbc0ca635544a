"""Commands about alerts: automations of the Prefect server."""

from __future__ import annotations

from typing import Annotated

import typer

from workmesh_flows.cli.run_flow import require_server
from workmesh_flows.cli.typer_app import app

automations_app = typer.Typer(no_args_is_help=True, help="Manage alerts.")
app.add_typer(automations_app, name="automations")

NotifyOption = Annotated[
    str | None,
    typer.Option(
        help="Block that sends the notifications, such as slack-webhook/ops. Default: the event feed alone."
    ),
]
UnreachableOption = Annotated[
    float, typer.Option(min=10, help="Seconds that a node is unreachable before a notification is sent.")
]
DeadOption = Annotated[
    float,
    typer.Option(min=960, help="Seconds without a heartbeat after which a run is marked as crashed."),
]


@automations_app.command()
def install(
    notify: NotifyOption = None, unreachable_after: UnreachableOption = 600, dead_after: DeadOption = 1_200
) -> None:
    """Install automations for stopped lanes, parked records, unassigned entities, unreachable nodes, dead runs."""
    from workmesh_flows.observability.automations import install as install_automations

    require_server()
    for line in install_automations(
        notify=notify, unreachable_after=unreachable_after, dead_after=dead_after
    ):
        typer.echo(line)
    if notify is None:
        typer.echo(
            "No notification configured: events show in the event feed only; name a block with --notify"
        )
