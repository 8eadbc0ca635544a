"""The command that checks everything."""

from __future__ import annotations

import os

from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.output import JsonOption, Output, emit, titled
from workmesh_flows.cli.run_flow import mesh_if_named
from workmesh_flows.cli.typer_app import app


@app.command()
def doctor(mesh: MeshOption = None, as_json: JsonOption = False) -> None:
    """Check settings, mesh, Prefect server, blocks, deployments, workers, database and nodes. Changes nothing.

    Exits with 1 if there are problems.
    """
    # An unreachable server is a row of the table: no logs of Prefect's client beside it.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    from workmesh_flows.operations.health.diagnosis import count_diagnoses, problems_of
    from workmesh_flows.reporting.doctor_table import doctor_table
    from workmesh_flows.reporting.json_document import rows_of
    from workmesh_flows.runs.doctor import diagnose

    del as_json
    found = diagnose(lambda: mesh_if_named(mesh))
    table, summary, problems = doctor_table(found), count_diagnoses(found), problems_of(found)
    emit(
        Output(
            [titled("Doctor", table), summary],
            {"checks": rows_of(table)},
            message=summary,
            problems=[str(problem) for problem in problems],
            status=ExitStatus.FAILED if problems else ExitStatus.DONE,
        )
    )
