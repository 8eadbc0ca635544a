"""What passes a proxy: numbered, timed, and written down before its sender can begin the next."""

from __future__ import annotations

import time
from threading import Lock

from workmesh_flows.testing.history.events import RequestOutcome, RequestSent
from workmesh_flows.testing.history.file import History
from workmesh_flows.testing.proxy.exchange import Exchange
from workmesh_flows.testing.proxy.faults import Fault
from workmesh_flows.testing.proxy.requests import Carried, Request


class RequestLog:
    """The requests of one proxy, from any thread."""

    def __init__(self, service: str, node: str, history: History | None) -> None:
        self._service, self._node, self._history = service, node, history
        self._lock = Lock()
        self._count = 0
        self._told: list[RequestSent] = []
        self._under_way: dict[int, Exchange] = {}

    @property
    def told(self) -> list[RequestSent]:
        """Those that are over, in the order in which they ended."""
        with self._lock:
            return list(self._told)

    def begin(self) -> tuple[int, float]:
        """A number and the time for a request whose first byte came.

        Whoever sent the one before may have given it up a moment ago: that one ended first.
        """
        with self._lock:
            now = time.time()
            for exchange in self._under_way.values():
                exchange.check_closed(now)
            self._count += 1
            return self._count, now

    def follow(self, number: int, exchange: Exchange) -> None:
        """It is under way."""
        with self._lock:
            self._under_way[number] = exchange

    def tell(
        self,
        request: Request,
        carried: Carried,
        fault: Fault | None,
        exchange: Exchange,
        outcome: RequestOutcome,
    ) -> None:
        """It is over."""
        with self._lock:
            del self._under_way[request.number]
            passed = RequestSent(
                service=self._service,
                node=self._node,
                number=request.number,
                path=request.path,
                protocol=carried.protocol,
                direction=carried.direction,
                epoch=request.epoch,
                ids=carried.ids,
                refused=exchange.refused,
                start=exchange.start,
                end=exchange.start if exchange.end is None else exchange.end,
                outcome=outcome,
                code=exchange.code,
                fault=None if fault is None else type(fault).__name__,
            )
            self._told.append(passed)
            if self._history is not None:
                self._history.write(passed)
