"""Progress of lanes, assignments and moves that run in this process, for its terminal.

The list of listeners is global, because a listener cannot reach them in another way: they run in tasks, Prefect calls a
task in a thread of its task runner, and what a task is given has to survive pickling. In the workers of a cluster the
list is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str, int, int], None]
"""Called in a task's thread with what makes progress, such as a lane, how much of it is done so far, and the total."""

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener`` for whatever makes progress in this process during the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def notify(what: str, done: int, total: int) -> None:
    """Call all listeners."""
    for listener in tuple(_listeners):
        listener(what, done, total)
