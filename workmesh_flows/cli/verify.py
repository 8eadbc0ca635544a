"""The command that checks a recorded history against the guarantees of delivery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.run_flow import show
from workmesh_flows.cli.typer_app import app

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.testing import Verdict

VIOLATED, UNREADABLE = 1, 2
"""Exit statuses."""

HistoryArgument = Annotated[
    Path, typer.Argument(help="The history: JSON lines, as workmesh_flows.testing writes them.")
]
SettledOption = Annotated[
    bool,
    typer.Option(
        "--settled",
        help="All work is finished: a record that is still pending, and not parked, counts as lost.",
    ),
]


@app.command()
def verify(history: HistoryArgument, settled: SettledOption = False) -> None:
    """Check a recorded history: ordering, loss, duplicates, single sender per lane, totals, push times.

    Exits with 1 if a guarantee was broken, with 2 if the file cannot be read.
    """
    from workmesh_flows.testing import BrokenHistory, check_history, read_history

    try:
        verdict = check_history(read_history(history), settled=settled)
    except BrokenHistory as error:
        typer.echo(f"workmesh: {error}", err=True)
        raise typer.Exit(UNREADABLE) from None
    show("History", _table(verdict))
    for sentence in verdict.sentences:
        typer.echo(sentence)
    if not verdict.clean:
        raise typer.Exit(VIOLATED)


def _table(verdict: Verdict) -> pd.DataFrame:
    """One row: the number of events and records, and of violations of each guarantee."""
    import pandas as pd

    counts = {"events": verdict.events, "records": verdict.records}
    return pd.DataFrame([counts | {str(guarantee): count for guarantee, count in verdict.counts.items()}])
