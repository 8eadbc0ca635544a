"""A proxy between a master and a node that breaks what passes as a policy says, and writes down what passed."""

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
from workmesh_flows.testing.proxy.requests import Reading, carried_by

HOST = "127.0.0.1"
POLL_SECONDS = 0.05


class FaultyProxy:
    """Listens on ``port`` of 127.0.0.1 from `start` to `close`, and forwards to a node; a context manager does both.

    Whoever is given its port in place of the node's sees the node through it. Closed, it is a node that is down;
    started again, it has the port it had. ``policy`` may be replaced at any time. It speaks HTTP/1.1 over kept
    connections, without TLS, and holds a whole request and its answer in memory.
    """

    def __init__(  # noqa: PLR0913 - all but the address may be left out
        self,
        address: str,
        policy: Policy | None = None,
        *,
        port: int = 0,
        history: History | None = None,
        service: str = "",
        node: str = "",
        read: Reading = carried_by,
    ) -> None:
        """``address`` is the node's, as in http://127.0.0.1:8000; ``service`` and ``node`` are names for the history.

        ``read`` says which records a request carries.
        """
        if history is not None and not (service and node):
            message = "a proxy that writes a history has to be told the names of its service and its node"
            raise ValueError(message)
        there = urlsplit(address if "//" in address else f"//{address}")
        self._there = (there.hostname or HOST, there.port or 80)
        self.policy, self.port = policy, port
        self._read = read
        self._passages = RequestLog(service, node, history)
        self._talks: list[ProxyConnection] = []
        self._listening: Thread | None = None
        self._closing = Event()

    def __repr__(self) -> str:
        host, port = self._there
        return f"FaultyProxy({host}:{port}, port={self.port})"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def passed(self) -> list[RequestSent]:
        """The requests that are over, in the order in which they ended."""
        return self._passages.told

    def start(self) -> Self:
        """Listen; the port is a free one the first time, unless it was given."""
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
        """Stop listening and cut every connection; returns when all that was under way is written down."""
        if self._listening is not None:
            self._closing.set()
            self._listening.join()
        for talk in self._talks:
            talk.cut()
        self._listening, self._talks = None, []

    def _listen(self, listener: socket.socket) -> None:
        listener.settimeout(POLL_SECONDS)  # to close it would not wake this thread on every platform
        with listener:
            while not self._closing.is_set():
                with suppress(TimeoutError):
                    client, _ = listener.accept()
                    talk = ProxyConnection(
                        client, self._there, self._passages, lambda: self.policy, self._read
                    )
                    self._talks = [*(talk for talk in self._talks if talk.alive), talk]
                    talk.start()
