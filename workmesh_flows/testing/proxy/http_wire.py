"""HTTP/1.1 messages as bytes on a socket: read whole, kept as they came. And whether the other side is still there."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

_PIECE = 65_536
_LARGEST_HEAD = 256 * 1024


class CutError(Exception):
    """The connection ended, or what came is no HTTP."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer: ``raw`` is all of it as it came, ``body`` its content, without chunks.

    ``first`` are the three words of its first line; ``closes`` is whether the connection ends with it.
    """

    first: tuple[str, str, str]
    headers: dict[str, str]
    head: bytes
    raw: bytes
    body: bytes
    closes: bool


class Connection:
    """A socket, and what was read from it and not yet used."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected
        self._read = bytearray()

    def comes(self) -> bool:
        """Wait for the next message to begin; False where the connection ends instead."""
        return bool(self._read) or self._more()

    def request(self) -> Message:
        """The next request. Raises CutError."""
        return self._message(answer=False)

    def answer(self) -> Message:
        """The next answer, behind those that are only provisional (1xx). Raises CutError."""
        while True:
            message = self._message(answer=True)
            if not message.first[1].startswith("1"):
                return message

    def _message(self, *, answer: bool) -> Message:
        while (end := self._read.find(b"\r\n\r\n")) < 0:
            if len(self._read) > _LARGEST_HEAD or not self._more():
                raise CutError
        head = self._take(end + 4)
        line, *lines = head.decode("latin-1").split("\r\n")
        words = line.split(" ", 2)
        if len(words) < 2:  # noqa: PLR2004 - an answer may go without a reason
            raise CutError
        first = (words[0], words[1], words[2] if len(words) > 2 else "")  # noqa: PLR2004 - as above
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
        }
        version = first[0] if answer else first[2]
        said = headers.get("connection", "").lower()
        closes = said == "close" or (version == "HTTP/1.0" and said != "keep-alive")
        bare = answer and (first[1][0] == "1" or first[1] in {"204", "304"})
        if bare:
            return Message(first, headers, head, head, b"", closes)
        if "chunked" in headers.get("transfer-encoding", "").lower():
            raw, body = self._chunks()
        elif "content-length" in headers or not answer:
            raw = body = self._take(_length(headers.get("content-length", "0")))
        else:  # the end of the connection is the end of the body
            while self._more():
                pass
            raw, closes = self._take(len(self._read)), True
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
        while (end := self._read.find(b"\r\n")) < 0:
            if not self._more():
                raise CutError
        return self._take(end + 2)

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            if not self._more():
                raise CutError
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(_PIECE)
        except OSError:
            return False
        self._read += piece
        return bool(piece)


def _length(said: str, base: int = 10) -> int:
    try:
        return int(said, base)
    except ValueError:
        raise CutError from None


def gone(connected: socket.socket) -> bool:
    """Whether the other side has closed the connection, or reset it."""
    try:
        return connected.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def pause(connected: socket.socket, seconds: float) -> bool:
    """Wait for so long, or until the other side goes away; whether it is still there."""
    end = time.monotonic() + seconds
    if _comes(connected, seconds) and gone(connected):
        return False
    time.sleep(max(0.0, end - time.monotonic()))
    return True


def wait_for(expected: socket.socket, *, beside: socket.socket) -> bool:
    """Wait until something comes on one socket; False where the other one's other side goes away before."""
    watched = [expected, beside]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if expected in ready:
            return True
        if gone(beside):
            return False
        watched = [expected]  # it sends ahead: its next request waits


def _comes(connected: socket.socket, seconds: float) -> bool:
    ready, _, _ = select.select([connected], [], [], seconds)
    return bool(ready)
