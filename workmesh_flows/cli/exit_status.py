"""The exit statuses of all commands."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    LEFT = 3
    INTERRUPTED = 130


MEANINGS = {
    ExitStatus.DONE: "done",
    ExitStatus.FAILED: "failed: the last line on standard error says why; or `check`, `doctor` or `verify` found problems",
    ExitStatus.USAGE: "wrong usage: an unknown command, option or value; options that exclude each other; a file for "
    "`verify` that is no history. Nothing was started",
    ExitStatus.LEFT: "done, but something is left: entities that could not be assigned or cannot move, a node that is "
    "unreachable, invalid or without a block, lanes that another run holds, a drain that would be refused",
    ExitStatus.INTERRUPTED: "ended by Ctrl-C; `--watch` ends with 0",
}
"""The table of the documentation."""
