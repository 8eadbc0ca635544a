"""Progress of the lanes that run in this process, for its terminal.

The list of listeners is global, because a listener cannot reach a lane in another way: the lane runs in a task, Prefect
calls the task in a thread of its task runner, and what a task is given has to survive pickling. In the workers of a
cluster the list is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from workmesh_flows.domain.lane import Lane

Listener: TypeAlias = Callable[[Lane, int, int], None]
"""Called in the lane's thread with the lane, the records processed so far, and the total."""

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener`` for each lane that makes progress in this process during the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def notify(lane: Lane, done: int, total: int) -> None:
    """Call all listeners."""
    for listener in tuple(_listeners):
        listener(lane, done, total)
