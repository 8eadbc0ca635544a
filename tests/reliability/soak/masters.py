"""The masters of the soak as processes: killed, paused, told what to hand over."""

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

from tests.reliability.soak.master import Order, work
from tests.reliability.soak.settings import Settings

# Forked from a process that has imported everything: killed every second, they would never come to work else.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.reliability.soak.run", "tests.support.databases", "psycopg"])


@dataclass(slots=True)
class Master:
    """A master process, started again under its name after each kill."""

    name: str
    order: Order
    lives: int = 0
    busy: Lock = field(default_factory=Lock)
    """Held while it is killed or paused."""
    _process: ForkServerProcess | None = None
    _told: Connection | None = None

    def start(self) -> None:
        self.lives += 1
        receiver, self._told = _context.Pipe(duplex=False)
        with receiver:
            self._process = _context.Process(
                target=work, args=(self.order, self.name, self.lives, receiver), daemon=True
            )
            self._process.start()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL, at whatever it is."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._told is not None:
            self._told.close()
        self._process = self._told = None

    def tell(self, *said: Any) -> None:
        """What to hand over; whether anybody is there to read it does not matter."""
        if (told := self._told) is not None:
            with suppress(OSError, ValueError):
                told.send(said)


@contextmanager
def running_masters(settings: Settings, order: Order) -> Iterator[list[Master]]:
    """The masters, until the block ends; then they are killed once more."""
    masters = [Master(f"m{number}", order) for number in range(1, settings.masters + 1)]
    with ExitStack() as stack:
        for master in masters:
            stack.callback(master.kill)
            master.start()
        yield masters
