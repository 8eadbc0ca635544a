"""The command line in this process, and in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MESH = """
from tests.support.shop import shop_service
from workmesh_flows import Mesh
mesh = Mesh([shop_service()])
number = 7
"""
"""The module shop_mesh.py in the folder of a test."""


@dataclass(frozen=True)
class Ended:
    """The exit status and the output of a command."""

    returncode: int
    stdout: str
    stderr: str


Workmesh = Callable[..., Ended]
"""Runs the command in this process, with environment variables as keywords."""


def process(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run the command as a user does, in a separate process and folder."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    ended = subprocess.run(
        [sys.executable, "-m", "workmesh_flows.cli", *arguments],
        cwd=folder,
        env={**known, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder / "home"), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)
