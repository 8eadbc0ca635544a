"""The command line program, without commands yet."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Hand records to a fleet of micro-services: decide which node works for whom, push, pull, look.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"workmesh-flows {version('workmesh-flows')}, prefect {version('prefect')}")
        raise typer.Exit


@app.callback()
def program(
    *,
    asked: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version, and end."),
    ] = False,
) -> None:
    """The program itself."""
    del asked
