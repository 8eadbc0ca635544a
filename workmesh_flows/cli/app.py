"""The command line program, without commands yet."""

from __future__ import annotations

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Hand records to a fleet of micro-services: decide which node works for whom, push, pull, look.",
)
