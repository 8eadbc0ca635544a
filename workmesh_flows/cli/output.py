"""The output of a command: a table for people, or one JSON document with --json."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TextIO, TypeAlias

import typer

from workmesh_flows.cli.exit_status import ExitStatus

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from workmesh_flows.reporting.json_document import Tables

Shown: TypeAlias = "str | RenderableType"


@dataclass(frozen=True, slots=True)
class Output:
    """What a command found or did.

    ``shown`` are the lines and tables for people, in order. ``tables`` are all tables by name, ``message`` is the
    summary and ``problems`` are sentences about what is wrong or left: these are for programs.
    ``error`` is set if the command failed after it did a part.
    """

    shown: Sequence[Shown] = ()
    tables: Tables = field(default_factory=dict)
    message: str = ""
    problems: Sequence[str] = ()
    status: ExitStatus = ExitStatus.DONE
    error: Exception | None = None


class UsageError(typer.TyperException):
    """The command line is wrong: nothing was started."""

    exit_code = int(ExitStatus.USAGE)


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """The command that was called with --json, and its standard output."""

    command: str
    stdout: TextIO


_request: ContextVar[JsonRequest | None] = ContextVar("workmesh_json_request", default=None)


def _note_request(context: typer.Context, asked: bool) -> bool:
    """Keep the standard output for the document: what modules of the user print goes to standard error."""
    _request.set(None)
    if asked and not context.resilient_parsing:
        _request.set(JsonRequest(command_name(context), sys.stdout))
        context.with_resource(redirect_stdout(sys.stderr))
    return asked


JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", callback=_note_request, is_eager=True, help="Print one JSON document instead of tables."
    ),
]


def command_name(context: typer.Context) -> str:
    """The words of a command without the program's name: ``nodes import``."""
    return context.command_path.partition(" ")[2]


def json_request() -> JsonRequest | None:
    """The request of this command line for JSON; None without --json."""
    return _request.get()


def forget_request() -> None:
    """Before a command line is read: the one before it, in the same process, may have asked for JSON."""
    _request.set(None)


def emit(output: Output) -> None:
    """Print the output; raises typer.Exit with its status if this is not 0."""
    write(output)
    if output.status is not ExitStatus.DONE:
        raise typer.Exit(int(output.status))


def write(output: Output) -> None:
    """Print the output."""
    request = json_request()
    if request is not None:
        write_document(request, output)
        return
    from workmesh_flows.reporting.terminal import console, print_whole

    terminal = console()
    for each in output.shown:
        if isinstance(each, str):
            typer.echo(each)
        else:
            print_whole(terminal, each)


def write_document(request: JsonRequest, output: Output) -> None:
    """Print the JSON document of the output."""
    from workmesh_flows.reporting.json_document import Document

    document = Document(
        request.command,
        datetime.now(UTC),
        output.status,
        output.message,
        output.tables,
        output.problems,
        output.error,
    )
    request.stdout.write(f"{document.to_json()}\n")
    request.stdout.flush()


def one_table(
    name: str, title: str, frame: pd.DataFrame, columns: Sequence[str] | None = None, *, empty: str = ""
) -> Output:
    """A command's only table, in the document under its name; people see ``empty`` instead of a table without rows."""
    from workmesh_flows.reporting.json_document import rows_of

    shown = empty if empty and frame.empty else titled(title, frame, columns)
    return Output([shown], {name: rows_of(frame)})


def titled(title: str, frame: pd.DataFrame, columns: Sequence[str] | None = None) -> RenderableType:
    """A table under its title, with all columns or only the given ones."""
    from workmesh_flows.reporting.terminal import as_table

    return as_table(title, frame if columns is None else frame[list(columns)])
