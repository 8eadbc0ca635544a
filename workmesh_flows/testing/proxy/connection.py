"""One connection of a master to a proxy: its requests go over one connection to the node."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock, Thread

from workmesh_flows.testing.proxy.exchange import Exchange
from workmesh_flows.testing.proxy.faults import Policy
from workmesh_flows.testing.proxy.http_messages import Connection, ConnectionLost, Message, is_closed
from workmesh_flows.testing.proxy.request_log import RequestLog
from workmesh_flows.testing.proxy.requests import Request, RequestParser

CONNECT_SECONDS = 5.0


class ProxyConnection:
    """Runs in its own thread until either side closes the connection, or `cut` does."""

    def __init__(
        self,
        client: socket.socket,
        node_address: tuple[str, int],
        log: RequestLog,
        policy: Callable[[], Policy | None],
        parse: RequestParser,
    ) -> None:
        self._client = Connection(client)
        self._node_address, self._log, self._policy, self._parse = node_address, log, policy, parse
        self._node: Connection | None = None
        self._lock = Lock()
        self._cut = False
        self._thread = Thread(target=self._run, name="workmesh-proxied", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the connection is open."""
        return self._thread.is_alive()

    def cut(self) -> None:
        """Close the connection now, also during a request; returns when the outcome of the request is recorded."""
        with self._lock:
            self._cut = True
            for connection in (self._client, self._node):
                if connection is not None:
                    with suppress(OSError):
                        connection.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._client.wait_for_message():
                number, start = self._log.start()
                if not self._forward(number, self._client.read_request(), start):
                    return
        except ConnectionLost:
            return
        finally:
            self._client.socket.close()
            self._close_node()

    def _forward(self, number: int, message: Message, start: float) -> bool:
        method, target, _ = message.first
        request = Request(number, method, target.partition("?")[0], message.headers, message.body)
        policy = self._policy()
        fault = None if policy is None else policy(request)
        on_end = partial(self._log.finish, request, self._parse(request), fault)
        exchange = Exchange(message, self._client, self._connect_node, on_end, start)
        self._log.add_open(number, exchange)
        return exchange.run(fault)

    def _connect_node(self) -> Connection:
        """The connection to the node; a new one if the node has closed the old one. Raises OSError."""
        if self._node is not None and is_closed(self._node.socket):
            self._close_node()
        if self._node is None:
            connected = socket.create_connection(self._node_address, timeout=CONNECT_SECONDS)
            connected.settimeout(None)
            with self._lock:
                self._node = Connection(connected)
                if self._cut:
                    connected.shutdown(socket.SHUT_RDWR)
        return self._node

    def _close_node(self) -> None:
        with self._lock:
            if self._node is not None:
                self._node.socket.close()
            self._node = None
