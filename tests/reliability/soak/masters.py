"""The processes of the masters: they are started, killed, paused, and sent entities to move."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from threading import Lock
from typing import Any

from tests.reliability.soak.master import MasterOptions, run_master
from tests.reliability.soak.settings import Settings

# Forked from a process that has imported everything: a master that is killed every second has no time for imports.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.reliability.soak.run", "tests.support.databases", "psycopg"])


@dataclass(slots=True)
class Master:
    """A master process, restarted under its name after each kill."""

    name: str
    options: MasterOptions
    lives: int = 0
    busy: Lock = field(default_factory=Lock)
    """Held while it is killed or paused."""
    _process: ForkServerProcess | None = None
    _moves: Connection | None = None

    def start(self) -> None:
        self.lives += 1
        receiver, self._moves = _context.Pipe(duplex=False)
        with receiver:
            self._process = _context.Process(
                target=run_master, args=(self.options, self.name, self.lives, receiver), daemon=True
            )
            self._process.start()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Send SIGKILL at any point of its work."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._moves is not None:
            self._moves.close()
        self._process = self._moves = None

    def send_move(self, *move: Any) -> None:
        """Send an entity to move; a master that is being killed does not get it."""
        if (moves := self._moves) is not None:
            with suppress(OSError, ValueError):
                moves.send(move)


@contextmanager
def running_masters(settings: Settings, options: MasterOptions) -> Iterator[list[Master]]:
    """The masters, for the length of a block; at its end they are killed."""
    masters = [Master(f"m{number}", options) for number in range(1, settings.masters + 1)]
    with ExitStack() as stack:
        for master in masters:
            stack.callback(master.kill)
            master.start()
        yield masters
