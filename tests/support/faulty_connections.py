"""What a connection can do besides answering: to be given to ``Answer(talk=...)``."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from time import sleep

Talk = Callable[[socket.socket], None]


def reset(connection: socket.socket) -> None:
    """Drop the connection at once: the other side gets a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def said_then_reset(said: bytes) -> Talk:
    """Say something, and drop the connection a moment later."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(said)
        sleep(0.05)  # else the reset overtakes what was said
        reset(connection)

    return talk


def silence(seconds: float) -> Talk:
    """Say nothing for so long, or until the other side goes away."""

    def talk(connection: socket.socket) -> None:
        connection.settimeout(seconds)
        connection.recv(1)

    return talk


def trickle(head: bytes, piece: bytes, pause: float) -> Talk:
    """Say a piece after each pause, for ever: until the other side goes away."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            sleep(pause)
            connection.sendall(piece)

    return talk


def flood(head: bytes, piece: bytes, times: int) -> Talk:
    """Say a piece many times, without a pause."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(times):
            connection.sendall(piece)

    return talk
