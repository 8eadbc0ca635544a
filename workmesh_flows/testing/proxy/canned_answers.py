"""Answers that no node gave, and ways for a connection to end badly."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from datetime import datetime
from email.utils import format_datetime

from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.testing.proxy.faults import Html, Redirect, Unavailable
from workmesh_flows.testing.proxy.http_wire import pause

LINGER_SECONDS = 5.0
"""How long a half-closed connection waits for the master to close its side."""


def canned_answer(fault: Unavailable | Html | Redirect) -> bytes:
    """The whole answer of a fault that the node has no part in."""
    match fault:
        case Unavailable(retry_after):
            return written("503 Service Unavailable", b"not now", "text/plain", *_retry_after(retry_after))
        case Html():
            return written("200 OK", b"<html><body>We will be back soon.</body></html>", "text/html")
        case Redirect(location):
            return written("303 See Other", b"", "text/html", f"Location: {location}")


def _retry_after(said: int | datetime | None) -> list[str]:
    if said is None:
        return []
    shown = format_datetime(as_utc(said), usegmt=True) if isinstance(said, datetime) else str(said)
    return [f"Retry-After: {shown}"]


def written(status: str, body: bytes, kind: str, *headers: str) -> bytes:
    """An answer as bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def reset(connected: socket.socket) -> bool:
    """Close at once: the other side gets a reset, not an end. False, for nothing can follow."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connected.detach())
    return False


def send_half(connected: socket.socket, said: bytes) -> bool:
    """Say half of it and no more, and wait for the other side to close. False, for nothing can follow."""
    with suppress(OSError):
        connected.sendall(said[: len(said) // 2])
        connected.shutdown(socket.SHUT_WR)
        pause(connected, LINGER_SECONDS)
    return False
