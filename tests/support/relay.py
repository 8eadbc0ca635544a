"""A relay between a client and an HTTP server: it can be cut, as if the server were away, and it counts what passes."""

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
PIECE = 65_536
REQUEST = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n")
KEYS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}")
UPGRADED = b"HTTP/1.1 101"


@dataclass(slots=True)
class Relay:
    """Listens on ``port`` from `open` to `cut`, and passes on to the server; a context manager does both.

    Cut, every connection ends and a new one is refused, as with a server that is away. ``calls`` are the requests by
    method and path, ids left out; ``messages`` those that the client sent over websockets. It relies on a client that
    waits for an answer before it sends its next request over the same connection. While `talking` is not set, it is as
    with a server that hangs: connections are made, requests pass, and no answer comes.
    """

    server: int
    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    talking: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket | None = None
    _ends: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def api(self) -> str:
        """Where clients of a Prefect server find it by way of this relay."""
        return f"http://{HOST}:{self.port}/api/"

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.cut()

    def open(self) -> Self:
        """Let clients through, at the port it had before if it had one."""
        self.talking.set()
        listener = self._listener = socket.create_server((HOST, self.port), backlog=128)
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(listener,), daemon=True).start()
        return self

    def cut(self) -> None:
        """End all connections and take no new one."""
        self.talking.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
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
        passing = _Passing(self)
        with self._lock:
            self._ends |= {client, server}
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_pour, args=(server, client, passing.answered), daemon=True)
        back.start()
        _pour(client, server, passing.asked)
        back.join()
        with self._lock:
            self._ends -= {client, server}
        client.close()
        server.close()

    def count(self, method: bytes, path: bytes) -> None:
        """A request passes."""
        named = KEYS.sub("ID", path.decode().partition("?")[0])
        with self._lock:
            self.calls[f"{method.decode()} {named}"] += 1

    def count_messages(self, number: int) -> None:
        """Messages pass over a websocket."""
        with self._lock:
            self.messages += number


def relay_to(address: str) -> Relay:
    """A relay to the server at an address of this machine."""
    port = urlsplit(address).port
    assert port is not None
    return Relay(port)


class _Passing:
    """What passes over one connection: requests, and once it is upgraded, messages."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._upgraded = False
        self._rest = b""

    def asked(self, piece: bytes) -> None:
        if self._upgraded:
            self._read_messages(piece)
        elif request := REQUEST.match(piece):
            self._relay.count(request[1], request[2])

    def answered(self, piece: bytes) -> None:
        self._relay.talking.wait()
        if piece.startswith(UPGRADED):
            self._upgraded = True

    def _read_messages(self, piece: bytes) -> None:
        """Whole data frames of a client (RFC 6455, 5.2): each has a mask of four bytes."""
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


def _pour(source: socket.socket, target: socket.socket, look: Callable[[bytes], None]) -> None:
    try:
        while piece := source.recv(PIECE):
            look(piece)
            target.sendall(piece)
    except OSError:
        pass
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
