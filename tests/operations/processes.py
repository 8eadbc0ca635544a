"""Processes beside the test's own, started at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    """A test module as a process of its own; it starts its work once a line is written to it."""
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.operations.{program}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )


def go(*processes: subprocess.Popen[str]) -> None:
    """Wait until each process is ready, then let all of them start."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def wait_for_go() -> None:
    """In such a process: print that it is ready, and wait."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
