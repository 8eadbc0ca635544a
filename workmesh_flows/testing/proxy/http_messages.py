"""HTTP/1.1 messages on a socket, read completely and kept byte for byte; and checks whether the peer is connected."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

_READ_BYTES = 65_536
_MAX_HEAD_BYTES = 256 * 1024


class ConnectionLost(Exception):
    """The connection ended, or the peer does not send HTTP."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer: ``raw`` is all of its bytes, ``body`` its content without the chunk framing.

    ``first`` are the three words of its first line; ``closes`` is whether the connection ends after it.
    """

    first: tuple[str, str, str]
    headers: dict[str, str]
    head: bytes
    raw: bytes
    body: bytes
    closes: bool


class Connection:
    """A socket with a buffer of bytes that were read but not used yet."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected
        self._buffer = bytearray()

    def wait_for_message(self) -> bool:
        """Wait for the first byte of the next message; False if the connection ends instead."""
        return bool(self._buffer) or self._more()

    def read_request(self) -> Message:
        """Read the next request. Raises ConnectionLost."""
        return self._message(answer=False)

    def read_answer(self) -> Message:
        """Read the next answer, skipping provisional ones (1xx). Raises ConnectionLost."""
        while True:
            message = self._message(answer=True)
            if not message.first[1].startswith("1"):
                return message

    def _message(self, *, answer: bool) -> Message:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES or not self._more():
                raise ConnectionLost
        head = self._take(end + 4)
        line, *lines = head.decode("latin-1").split("\r\n")
        words = line.split(" ", 2)
        if len(words) < 2:  # noqa: PLR2004 - an answer may omit the reason
            raise ConnectionLost
        first = (words[0], words[1], words[2] if len(words) > 2 else "")  # noqa: PLR2004 - as above
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
        }
        version = first[0] if answer else first[2]
        option = headers.get("connection", "").lower()
        closes = option == "close" or (version == "HTTP/1.0" and option != "keep-alive")
        without_body = answer and (first[1][0] == "1" or first[1] in {"204", "304"})
        if without_body:
            return Message(first, headers, head, head, b"", closes)
        if "chunked" in headers.get("transfer-encoding", "").lower():
            raw, body = self._chunks()
        elif "content-length" in headers or not answer:
            raw = body = self._take(_length(headers.get("content-length", "0")))
        else:  # the body extends to the end of the connection
            while self._more():
                pass
            raw, closes = self._take(len(self._buffer)), True
            body = raw
        return Message(first, headers, head, head + raw, body, closes)

    def _chunks(self) -> tuple[bytes, bytes]:
        raw, body = bytearray(), bytearray()
        while True:
            line = self._line()
            raw += line
            size = _length(line.split(b";")[0].strip().decode("latin-1"), base=16)
            if size == 0:
                break
            piece = self._take(size + 2)
            raw += piece
            body += piece[:-2]
        while (line := self._line()) != b"\r\n":  # trailers
            raw += line
        return bytes(raw + line), bytes(body)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not self._more():
                raise ConnectionLost
        return self._take(end + 2)

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._more():
                raise ConnectionLost
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(_READ_BYTES)
        except OSError:
            return False
        self._buffer += piece
        return bool(piece)


def _length(text: str, base: int = 10) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise ConnectionLost from None


def is_closed(connected: socket.socket) -> bool:
    """Whether the peer has closed or reset the connection."""
    try:
        return connected.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def pause(connected: socket.socket, seconds: float) -> bool:
    """Wait for some seconds, or until the peer closes the connection; returns whether it is still open."""
    end = time.monotonic() + seconds
    if _has_data(connected, seconds) and is_closed(connected):
        return False
    time.sleep(max(0.0, end - time.monotonic()))
    return True


def wait_for_data(source: socket.socket, *, unless_closed: socket.socket) -> bool:
    """Wait for data on one socket; returns False if the peer of the other socket closes its connection before."""
    watched = [source, unless_closed]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if source in ready:
            return True
        if is_closed(unless_closed):
            return False
        watched = [source]  # the peer pipelines: its next request stays in the socket


def _has_data(connected: socket.socket, seconds: float) -> bool:
    ready, _, _ = select.select([connected], [], [], seconds)
    return bool(ready)
