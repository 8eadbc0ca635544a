"""One connection of a master to a proxy: request after request, over one connection to the node."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock, Thread

from workmesh_flows.testing.proxy.exchange import Exchange
from workmesh_flows.testing.proxy.faults import Policy
from workmesh_flows.testing.proxy.http_wire import Connection, CutError, Message, gone
from workmesh_flows.testing.proxy.request_log import RequestLog
from workmesh_flows.testing.proxy.requests import Reading, Request

CONNECT_SECONDS = 5.0


class ProxyConnection:
    """Runs in a thread of its own until either side, or `cut`, ends it."""

    def __init__(
        self,
        client: socket.socket,
        there: tuple[str, int],
        passages: RequestLog,
        policy: Callable[[], Policy | None],
        read: Reading,
    ) -> None:
        self._client = Connection(client)
        self._there, self._passages, self._policy, self._read = there, passages, policy, read
        self._node: Connection | None = None
        self._lock = Lock()
        self._cut = False
        self._thread = Thread(target=self._run, name="workmesh-proxied", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive()

    def cut(self) -> None:
        """End it now, whatever it is at; returns when that is written down."""
        with self._lock:
            self._cut = True
            for connection in (self._client, self._node):
                if connection is not None:
                    with suppress(OSError):
                        connection.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._client.comes():
                number, start = self._passages.begin()
                if not self._pass(number, self._client.request(), start):
                    return
        except CutError:
            return
        finally:
            self._client.socket.close()
            self._leave_node()

    def _pass(self, number: int, message: Message, start: float) -> bool:
        method, target, _ = message.first
        request = Request(number, method, target.partition("?")[0], message.headers, message.body)
        policy = self._policy()
        fault = None if policy is None else policy(request)
        told = partial(self._passages.tell, request, self._read(request), fault)
        exchange = Exchange(message, self._client, self._connected, told, start)
        self._passages.follow(number, exchange)
        return exchange.play(fault)

    def _connected(self) -> Connection:
        """The connection to the node; a new one where it has closed the old one. Raises OSError."""
        if self._node is not None and gone(self._node.socket):
            self._leave_node()
        if self._node is None:
            made = socket.create_connection(self._there, timeout=CONNECT_SECONDS)
            made.settimeout(None)
            with self._lock:
                self._node = Connection(made)
                if self._cut:
                    made.shutdown(socket.SHUT_RDWR)
        return self._node

    def _leave_node(self) -> None:
        with self._lock:
            if self._node is not None:
                self._node.socket.close()
            self._node = None
