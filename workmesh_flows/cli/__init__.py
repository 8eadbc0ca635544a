"""The command line: ``workmesh``. Each command imports what it needs, so that ``--help`` is fast."""

from __future__ import annotations

import os
import sys

import typer

from workmesh_flows.cli import (
    assignment,
    automations,
    check,
    delivery,
    doctor,
    local,
    metrics,
    moves,
    nodes,
    prune,
    refused,
    server,
    status,
    upgrade,
    verify,
)
from workmesh_flows.cli.exit_status import ExitStatus
from workmesh_flows.cli.output import (
    JsonRequest,
    Output,
    UsageError,
    command_name,
    forget_request,
    json_request,
    write_document,
)
from workmesh_flows.cli.typer_app import app
from workmesh_flows.errors import WorkmeshError

__all__ = [
    "app",
    "assignment",
    "automations",
    "check",
    "delivery",
    "doctor",
    "local",
    "main",
    "metrics",
    "moves",
    "nodes",
    "prune",
    "refused",
    "server",
    "status",
    "upgrade",
    "verify",
]


def main() -> None:
    """Run a command and exit with its status. An error prints its reason; WORKMESH_TRACEBACK=1 shows its traceback."""
    sys.exit(_run())


def _run() -> int:
    forget_request()
    try:
        ended = app(standalone_mode=False)
    except typer.TyperException as error:  # the command line is wrong
        return _report_usage(error)
    except Exception as error:
        if os.environ.get("WORKMESH_TRACEBACK"):
            raise
        if (request := json_request()) is not None:
            write_document(request, Output(status=ExitStatus.FAILED, error=error))
        else:
            text = str(error) if isinstance(error, WorkmeshError) else f"{type(error).__name__}: {error}"
            sys.stderr.write(f"workmesh: {text}\n")
        return ExitStatus.FAILED
    return int(ended or ExitStatus.DONE)


def _report_usage(error: typer.TyperException) -> int:
    """Say in one line what is wrong with the command line; of a command without arguments, typer printed the help."""
    context = getattr(error, "ctx", None)
    name = "" if context is None else command_name(context)
    text = error.format_message().strip()
    if "--json" in sys.argv:
        request = json_request() or JsonRequest(name, sys.stdout)
        write_document(request, Output(status=ExitStatus.USAGE, error=UsageError(text)))
    elif text:
        hint = "" if context is None else f" (see {' '.join(['workmesh', *name.split(), '--help'])})"
        sys.stderr.write(f"workmesh: {text}{hint}\n")
    return ExitStatus.USAGE
