"""Answers that the proxy makes itself, and ways to break a connection."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from datetime import datetime
from email.utils import format_datetime

from workmesh_flows.adapters.store.values import as_utc
from workmesh_flows.testing.proxy.faults import Html, Redirect, Unavailable
from workmesh_flows.testing.proxy.http_messages import pause

LINGER_SECONDS = 5.0
"""Longest wait on a half-closed connection for the master to close its side."""


def canned_answer(fault: Unavailable | Html | Redirect) -> bytes:
    """The complete answer for a fault whose request the node does not get."""
    match fault:
        case Unavailable(retry_after):
            return build_answer(
                "503 Service Unavailable", b"not now", "text/plain", *_retry_after(retry_after)
            )
        case Html():
            return build_answer("200 OK", b"<html><body>We will be back soon.</body></html>", "text/html")
        case Redirect(location):
            return build_answer("303 See Other", b"", "text/html", f"Location: {location}")


def _retry_after(value: int | datetime | None) -> list[str]:
    if value is None:
        return []
    shown = format_datetime(as_utc(value), usegmt=True) if isinstance(value, datetime) else str(value)
    return [f"Retry-After: {shown}"]


def build_answer(status: str, body: bytes, kind: str, *headers: str) -> bytes:
    """A complete HTTP answer as bytes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def reset(connected: socket.socket) -> bool:
    """Reset the connection (TCP RST). Returns False: the connection has ended."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connected.detach())
    return False


def send_half(connected: socket.socket, answer: bytes) -> bool:
    """Send half of an answer, then wait for the peer to close. Returns False: the connection has ended."""
    with suppress(OSError):
        connected.sendall(answer[: len(answer) // 2])
        connected.shutdown(socket.SHUT_WR)
        pause(connected, LINGER_SECONDS)
    return False
