"""Showing a table again and again: --watch SECONDS."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.cli.output import Output, emit, json_request, write
from workmesh_flows.errors import WorkmeshError

if TYPE_CHECKING:
    from rich.console import RenderableType

WatchOption = Annotated[
    float | None,
    typer.Option(
        "--watch",
        min=0.1,
        metavar="SECONDS",
        help="Repeat the output at this interval, in seconds, until Ctrl-C.",
        show_default=False,
    ),
]


def emit_again(read: Callable[[], Output], seconds: float | None) -> None:
    """Print the output once, or with ``seconds`` again and again until Ctrl-C, which ends the command with 0.

    A terminal shows the latest output in place. An error of the first reading ends the command, a later one is shown.
    """
    if seconds is None:
        emit(read())
        return
    try:
        _watch(read, seconds)
    except KeyboardInterrupt:
        return


def _watch(read: Callable[[], Output], seconds: float) -> None:
    from rich.live import Live

    from workmesh_flows.reporting.terminal import console

    terminal, latest = console(), read()
    if json_request() is not None or not terminal.is_terminal:
        while True:
            if json_request() is None:
                typer.echo(_heading())
            write(latest)
            sys.stdout.flush()
            time.sleep(seconds)
            latest = _read_again(read)
    with Live(console=terminal, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(_screen(latest, seconds), refresh=True)
            time.sleep(seconds)
            latest = _read_again(read)


def _read_again(read: Callable[[], Output]) -> Output:
    try:
        return read()
    except WorkmeshError as error:
        return Output([f"workmesh: {error}"], status=ExitStatus.FAILED, error=error)


def _screen(output: Output, seconds: float) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    heading = f"{_heading()}, every {seconds:g} s; Ctrl-C ends it"
    return Group(Text(heading), *(Text(each) if isinstance(each, str) else each for each in output.shown))


def _heading() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
