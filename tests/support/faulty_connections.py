"""Ways in which a connection fails, for ``Answer(behaviour=...)``."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from time import sleep

Behaviour = Callable[[socket.socket], None]


def reset(connection: socket.socket) -> None:
    """Reset the connection (TCP RST)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def send_then_reset(data: bytes) -> Behaviour:
    """Send some bytes, and reset the connection a moment later."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(data)
        sleep(0.05)  # otherwise the reset overtakes the bytes
        reset(connection)

    return behave


def silence(seconds: float) -> Behaviour:
    """Send nothing for some seconds, or until the peer closes the connection."""

    def behave(connection: socket.socket) -> None:
        connection.settimeout(seconds)
        connection.recv(1)

    return behave


def trickle(head: bytes, piece: bytes, pause: float) -> Behaviour:
    """Send a piece after each pause in seconds, until the peer closes the connection."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            sleep(pause)
            connection.sendall(piece)

    return behave


def flood(head: bytes, piece: bytes, times: int) -> Behaviour:
    """Send a piece many times, without a pause."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(times):
            connection.sendall(piece)

    return behave
