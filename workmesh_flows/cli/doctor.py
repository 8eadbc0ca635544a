"""The command that checks everything."""

from __future__ import annotations

import os
import sys

import typer

from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.run_flow import mesh_if_named, show
from workmesh_flows.cli.typer_app import app


@app.command()
def doctor(mesh: MeshOption = None) -> None:
    """Check settings, mesh, Prefect server, blocks, deployments, workers, database and nodes. Changes nothing.

    Exits with 1 if there are problems.
    """
    # An unreachable server is a row of the table: no logs of Prefect's client beside it.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    from workmesh_flows.operations.health.diagnosis import count_diagnoses, problems_of
    from workmesh_flows.reporting.doctor_table import doctor_table
    from workmesh_flows.runs.doctor import diagnose

    found = diagnose(lambda: mesh_if_named(mesh))
    show("Doctor", doctor_table(found))
    typer.echo(count_diagnoses(found))
    if problems_of(found):
        sys.exit(1)
