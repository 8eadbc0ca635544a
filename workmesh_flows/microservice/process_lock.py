"""One process a database: two workers would break the order of arrival."""

from __future__ import annotations

import os
from pathlib import Path

from workmesh_flows.errors import StartError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks: there it stays the user's care
    fcntl = None  # type: ignore[assignment]


class ProcessLock:
    """Held from creation to `release`, or to the end of the process, however it ends.

    The lock is on a file of its own: closing a descriptor of the database file would drop SQLite's locks.
    """

    def __init__(self, database: Path) -> None:
        try:
            lock = database.with_name(f"{database.name}.lock")
            self._descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            message = f"the database {database} cannot be used: {error}"
            raise StartError(message) from error
        if fcntl is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            message = f"the database {database} is in use: a node is one process with one worker; another node needs another --database"
            raise StartError(message) from error

    def release(self) -> None:
        """Let another process take the database."""
        os.close(self._descriptor)
