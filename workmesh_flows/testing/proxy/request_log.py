"""The requests of a proxy: numbered, timed, and recorded before their sender can start the next one."""

from __future__ import annotations

import time
from threading import Lock

from workmesh_flows.testing.history.events import RequestOutcome, RequestSent
from workmesh_flows.testing.history.file import History
from workmesh_flows.testing.proxy.exchange import Exchange
from workmesh_flows.testing.proxy.faults import Fault
from workmesh_flows.testing.proxy.requests import Request, RequestContent


class RequestLog:
    """The requests of one proxy; thread-safe."""

    def __init__(self, service: str, node: str, history: History | None) -> None:
        self._service, self._node, self._history = service, node, history
        self._lock = Lock()
        self._count = 0
        self._ended: list[RequestSent] = []
        self._open: dict[int, Exchange] = {}

    @property
    def ended(self) -> list[RequestSent]:
        """The requests that have ended, in the order in which they ended."""
        with self._lock:
            return list(self._ended)

    def start(self) -> tuple[int, float]:
        """Return a number and the start time for a request whose first byte has arrived.

        A sender that just gave up its previous request has ended that one first.
        """
        with self._lock:
            now = time.time()
            for exchange in self._open.values():
                exchange.check_closed(now)
            self._count += 1
            return self._count, now

    def add_open(self, number: int, exchange: Exchange) -> None:
        """Add a request that has not ended."""
        with self._lock:
            self._open[number] = exchange

    def finish(
        self,
        request: Request,
        content: RequestContent,
        fault: Fault | None,
        exchange: Exchange,
        outcome: RequestOutcome,
    ) -> None:
        """Record the end of a request."""
        with self._lock:
            del self._open[request.number]
            ended = RequestSent(
                service=self._service,
                node=self._node,
                number=request.number,
                path=request.path,
                protocol=content.protocol,
                direction=content.direction,
                epoch=request.epoch,
                ids=content.ids,
                refused=exchange.refused,
                start=exchange.start,
                end=exchange.start if exchange.end is None else exchange.end,
                outcome=outcome,
                code=exchange.code,
                fault=None if fault is None else type(fault).__name__,
            )
            self._ended.append(ended)
            if self._history is not None:
                self._history.write(ended)
