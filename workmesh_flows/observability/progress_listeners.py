"""Progress of lanes in this process, for whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str, int, int], None]
"""Told a lane's name, the records done and the records there were; from the thread that works the lane."""

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Hear of all lanes that this process works during the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def notify(lane: str, done: int, total: int) -> None:
    """Tell all listeners."""
    for listener in tuple(_listeners):
        listener(lane, done, total)
