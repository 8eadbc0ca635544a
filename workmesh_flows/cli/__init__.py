"""The command line: ``workmesh``. Each command imports what it needs, so that ``--help`` is fast."""

from __future__ import annotations

import os
import sys

from workmesh_flows.cli import (
    assignment,
    automations,
    check,
    delivery,
    doctor,
    local,
    moves,
    nodes,
    refused,
    server,
    status,
    upgrade,
    verify,
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
    "moves",
    "nodes",
    "refused",
    "server",
    "status",
    "upgrade",
    "verify",
]


def main() -> None:
    """Run a command. An error prints one line and exits with 1; WORKMESH_TRACEBACK=1 shows its traceback instead."""
    try:
        app()
    except Exception as error:
        if os.environ.get("WORKMESH_TRACEBACK"):
            raise
        text = str(error) if isinstance(error, WorkmeshError) else f"{type(error).__name__}: {error}"
        sys.stderr.write(f"workmesh: {text}\n")
        sys.exit(1)
