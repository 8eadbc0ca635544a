"""The command that serves the metrics of a mesh, or writes them to a file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from workmesh_flows.cli.options import MeshOption
from workmesh_flows.cli.output import UsageError
from workmesh_flows.cli.run_flow import mesh_of
from workmesh_flows.cli.typer_app import app

PortOption = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Serve on this port, until Ctrl-C; 0 takes a free one."),
]
HostOption = Annotated[str, typer.Option(help="Address to listen on.")]
TextfileOption = Annotated[
    Path | None,
    typer.Option(
        help="Write the metrics to this file instead, and exit: for the textfile collector of node_exporter."
    ),
]
CacheOption = Annotated[
    float,
    typer.Option(min=0, help="Seconds for which the same answer is served, however many ask for it."),
]


@app.command()
def metrics(
    port: PortOption = None,
    host: HostOption = "127.0.0.1",
    textfile: TextfileOption = None,
    cache: CacheOption = 10.0,
    mesh: MeshOption = None,
) -> None:
    """Serve the metrics of the mesh to Prometheus under /metrics, or write them to a file once.

    They come from the database. Without a Prefect server, nodes that hold no entities are missing. A file is also
    written if the database cannot be read, and the command then exits with 1.
    """
    # An unreachable server is a metric and one line of the log: no logs of Prefect's client beside it.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    import logging

    from workmesh_flows.mesh_database import database_of
    from workmesh_flows.observability.metrics_answer import MetricsAnswer
    from workmesh_flows.observability.metrics_server import serve_metrics, write_metrics

    if (port is None) == (textfile is None):
        raise UsageError("name either a port to serve on (--port), or a file to write (--textfile)")
    named = mesh_of(mesh)
    database_of(named)  # a missing setting ends the command; a database that is down does not
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    answer = MetricsAnswer(named, cache)
    if textfile is not None:
        write_metrics(answer, textfile)
        sys.exit(0 if answer.succeeded else 1)
    if port is not None:
        serve_metrics(answer, host, port, lambda address: typer.echo(f"serving metrics at {address}"))
