"""A lock that allows one process for each database: two workers would break the order of arrival."""

from __future__ import annotations

import os
from pathlib import Path

from workmesh_flows.errors import StartError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks: there the user must start only one process
    fcntl = None  # type: ignore[assignment]


class ProcessLock:
    """Held from creation to `release`, or to the end of the process, also if it is killed.

    The lock is on a separate file: closing a descriptor of the database file would release SQLite's locks.
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
            message = f"the database {database} is in use by another process; each node needs a --database of its own"
            raise StartError(message) from error

    def release(self) -> None:
        """Allow another process to use the database."""
        os.close(self._descriptor)
