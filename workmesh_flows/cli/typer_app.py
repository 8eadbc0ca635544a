"""The command line program, to which each module of this package adds its commands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Assign accounts to nodes, push records, pull results, show status.",
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
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options of the program itself."""
    del asked
