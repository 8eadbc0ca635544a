"""Bounds on connections: how many a node has, and how long a request may take to arrive."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    from asyncio import Protocol

FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""The answer to a connection above the limit: its sender retries later."""


def bounded_protocol(request_seconds: float, max_connections: int) -> type[Protocol]:
    """The protocol of uvicorn with bounds, which uvicorn has no settings for.

    A connection is closed if it has no request in progress and does not complete the head of one in
    ``request_seconds`` after its first byte, or after it was opened. An idle connection that had a request is closed by
    uvicorn's own timeout.
    """

    class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type] # chosen at run time
        _deadline: TimerHandle | None = None

        def connection_made(self, transport: Transport) -> None:
            super().connection_made(transport)
            if len(self.connections) > max_connections:
                transport.write(FULL)
                transport.close()
            else:
                self._start()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop()
            elif self._deadline is None:
                self._start()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _start(self) -> None:
            self._deadline = self.loop.call_later(request_seconds, self.transport.close)

        def _stop(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    found: Any = BoundedProtocol
    protocol: type[Protocol] = found
    return protocol
