"""The command that checks a recorded history against the guarantees of delivery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.cli.output import JsonOption, Output, UsageError, emit, titled
from workmesh_flows.cli.typer_app import app

if TYPE_CHECKING:
    import pandas as pd

    from workmesh_flows.testing import Verdict

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
def verify(history: HistoryArgument, settled: SettledOption = False, as_json: JsonOption = False) -> None:
    """Check a recorded history: ordering, loss, duplicates, single sender per lane, totals, push times.

    Exits with 1 if a guarantee was broken, with 2 if the file cannot be read.
    """
    from workmesh_flows.reporting.json_document import rows_of
    from workmesh_flows.testing import BrokenHistory, check_history, read_history

    del as_json
    try:
        verdict = check_history(read_history(history), settled=settled)
    except BrokenHistory as error:
        raise UsageError(str(error)) from None
    table = _table(verdict)
    emit(
        Output(
            [titled("History", table), *verdict.sentences],
            {"history": rows_of(table)},
            problems=[str(violation) for violation in verdict.violations],
            status=ExitStatus.DONE if verdict.clean else ExitStatus.FAILED,
        )
    )


def _table(verdict: Verdict) -> pd.DataFrame:
    """One row: the number of events and records, and of violations of each guarantee."""
    import pandas as pd

    counts = {"events": verdict.events, "records": verdict.records}
    return pd.DataFrame([counts | {str(guarantee): count for guarantee, count in verdict.counts.items()}])
