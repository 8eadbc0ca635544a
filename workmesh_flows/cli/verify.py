"""The command that holds a recorded history against what delivery promises."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.app import app
from workmesh_flows.cli.run_flow import show

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.testing import Verdict

VIOLATED, UNREADABLE = 1, 2


@app.command()
def verify(
    history: Annotated[
        Path, typer.Argument(help="The history: JSON lines, as workmesh_flows.testing writes them.")
    ],
    settled: Annotated[
        bool,
        typer.Option(
            "--settled", help="The work was finished: what still waits, and is not parked, is lost."
        ),
    ] = False,
) -> None:
    """Check a recorded history: order, loss, doubles, one sender a lane, sums, push times.

    Exits with 1 where a promise was broken, with 2 where the file cannot be read.
    """
    from workmesh_flows.testing import BrokenHistory, check_history, read_history

    try:
        verdict = check_history(read_history(history), settled=settled)
    except BrokenHistory as error:
        typer.echo(f"workmesh: {error}", err=True)
        raise typer.Exit(UNREADABLE) from None
    show("History", _table(verdict), None)
    for sentence in verdict.sentences:
        typer.echo(sentence)
    if not verdict.clean:
        raise typer.Exit(VIOLATED)


def _table(verdict: Verdict) -> pd.DataFrame:
    import pandas as pd

    figures = {"events": verdict.events, "records": verdict.records}
    return pd.DataFrame([figures | {str(promise): count for promise, count in verdict.counts.items()}])
