"""A relay between a client and an HTTP server: it counts requests, and can make the server unreachable."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"
READ_BYTES = 65_536
REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n")
KEYS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}")
UPGRADED = b"HTTP/1.1 101"


@dataclass(slots=True)
class Relay:
    """Listens on ``port`` from `open` to `cut`, and forwards to the server; a context manager does both.

    `cut` closes every connection and refuses new ones, as an unreachable server does. ``calls`` counts requests by
    method and path, without ids; ``messages`` counts those of the client over websockets. The client must wait for an
    answer before it sends its next request over the same connection. While `answering` is not set, the relay holds
    answers back, as a server that hangs does.
    """

    server: int
    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    answering: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket | None = None
    _ends: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def api(self) -> str:
        """The API address of a Prefect server through this relay."""
        return f"http://{HOST}:{self.port}/api/"

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.cut()

    def open(self) -> Self:
        """Accept clients, at the same port as before."""
        self.answering.set()
        listener = self._listener = socket.create_server((HOST, self.port), backlog=128)
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(listener,), daemon=True).start()
        return self

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        self.answering.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
            listener.close()
        with self._lock:
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HOST, self.server))
        except OSError:
            client.close()
            return
        traffic = _Traffic(self)
        with self._lock:
            self._ends |= {client, server}
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_forward, args=(server, client, traffic.on_answer), daemon=True)
        back.start()
        _forward(client, server, traffic.on_request)
        back.join()
        with self._lock:
            self._ends -= {client, server}
        client.close()
        server.close()

    def count(self, method: bytes, path: bytes) -> None:
        """Count a request."""
        path_without_ids = KEYS.sub("ID", path.decode().partition("?")[0])
        with self._lock:
            self.calls[f"{method.decode()} {path_without_ids}"] += 1

    def count_messages(self, number: int) -> None:
        """Count messages over a websocket."""
        with self._lock:
            self.messages += number


def relay_to(address: str) -> Relay:
    """A relay to a server on this machine."""
    port = urlsplit(address).port
    assert port is not None
    return Relay(port)


class _Traffic:
    """Counts the traffic of one connection: requests, and websocket messages after an upgrade."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._upgraded = False
        self._rest = b""

    def on_request(self, piece: bytes) -> None:
        if self._upgraded:
            self._read_messages(piece)
        elif request := REQUEST.match(piece):
            self._relay.count(request[1], request[2])

    def on_answer(self, piece: bytes) -> None:
        self._relay.answering.wait()
        if piece.startswith(UPGRADED):
            self._upgraded = True

    def _read_messages(self, piece: bytes) -> None:
        """Count complete data frames of a client (RFC 6455, 5.2), each with a mask of four bytes."""
        self._rest += piece
        while len(self._rest) >= 2:
            length, head = self._rest[1] & 0x7F, 2
            if length >= 126:
                head += 2 if length == 126 else 8
                length = int.from_bytes(self._rest[2:head])
            whole = head + 4 + length
            if len(self._rest) < whole:
                return
            self._relay.count_messages(self._rest[0] & 0x0F in {1, 2})
            self._rest = self._rest[whole:]


def _forward(source: socket.socket, target: socket.socket, observe: Callable[[bytes], None]) -> None:
    try:
        while piece := source.recv(READ_BYTES):
            observe(piece)
            target.sendall(piece)
    except OSError:
        pass
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
