"""A proxy between a master and a node that injects the faults of a policy and records every request."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Event, Thread
from typing import Self
from urllib.parse import urlsplit

from workmesh_flows.testing.history.events import RequestSent
from workmesh_flows.testing.history.file import History
from workmesh_flows.testing.proxy.connection import ProxyConnection
from workmesh_flows.testing.proxy.faults import Policy
from workmesh_flows.testing.proxy.request_log import RequestLog
from workmesh_flows.testing.proxy.requests import RequestParser, parse_request

HOST = "127.0.0.1"
POLL_SECONDS = 0.05


class FaultyProxy:
    """Listens on ``port`` of 127.0.0.1 from `start` to `close`, and forwards to a node; a context manager does both.

    A master that is given this port in place of the node's reaches the node through the proxy. While the proxy is
    closed, the node is unreachable; started again, it has the same port. ``policy`` may be replaced at any time. It
    supports HTTP/1.1 with persistent connections, without TLS, and holds each request and its answer in memory.
    """

    def __init__(  # noqa: PLR0913 - all but the address are optional
        self,
        address: str,
        policy: Policy | None = None,
        *,
        port: int = 0,
        history: History | None = None,
        service: str = "",
        node: str = "",
        parse: RequestParser = parse_request,
    ) -> None:
        """``address`` is the node's, as in http://127.0.0.1:8000; ``service`` and ``node`` are names for the history.

        ``parse`` finds the lane and the record ids in a request. Raises ValueError for a history without these names.
        """
        if history is not None and not (service and node):
            message = "a proxy that writes a history needs the names of its service and its node"
            raise ValueError(message)
        url = urlsplit(address if "//" in address else f"//{address}")
        self._node_address = (url.hostname or HOST, url.port or 80)
        self.policy, self.port = policy, port
        self._parse = parse
        self._log = RequestLog(service, node, history)
        self._connections: list[ProxyConnection] = []
        self._listening: Thread | None = None
        self._closing = Event()

    def __repr__(self) -> str:
        host, port = self._node_address
        return f"FaultyProxy({host}:{port}, port={self.port})"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> list[RequestSent]:
        """The requests that have ended, in the order in which they ended."""
        return self._log.ended

    def start(self) -> Self:
        """Start to listen; without a given port, the first start chooses a free one."""
        if self._listening is None:
            listener = socket.create_server((HOST, self.port), backlog=128)
            self.port = listener.getsockname()[1]
            self._closing.clear()
            self._listening = Thread(
                target=self._listen, args=(listener,), name="workmesh-proxy", daemon=True
            )
            self._listening.start()
        return self

    def close(self) -> None:
        """Stop listening and close every connection; returns when the outcomes of all open requests are recorded."""
        if self._listening is not None:
            self._closing.set()
            self._listening.join()
        for connection in self._connections:
            connection.cut()
        self._listening, self._connections = None, []

    def _listen(self, listener: socket.socket) -> None:
        listener.settimeout(POLL_SECONDS)  # closing the socket does not wake this thread on every platform
        with listener:
            while not self._closing.is_set():
                with suppress(TimeoutError):
                    client, _ = listener.accept()
                    connection = ProxyConnection(
                        client, self._node_address, self._log, lambda: self.policy, self._parse
                    )
                    self._connections = [*(old for old in self._connections if old.alive), connection]
                    connection.start()
