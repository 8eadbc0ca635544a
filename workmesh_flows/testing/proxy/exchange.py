"""One request through a proxy: to the node and back, with its fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from workmesh_flows.testing.history.events import Id, RequestOutcome
from workmesh_flows.testing.proxy.canned_answers import build_answer, canned_answer, reset, send_half
from workmesh_flows.testing.proxy.faults import (
    BrokenJson,
    DropAnswer,
    Fault,
    HalfClose,
    Html,
    Latency,
    Redirect,
    Reset,
    SlowBody,
    Unavailable,
)
from workmesh_flows.testing.proxy.http_messages import (
    Connection,
    ConnectionLost,
    Message,
    is_closed,
    pause,
    wait_for_data,
)


@dataclass(slots=True)
class Exchange:
    """A request that was read, the master's connection, and a function that connects to the node.

    ``on_end`` is called once, before the master can see the end of the request, so that its next one starts later.
    """

    message: Message
    client: Connection
    connect: Callable[[], Connection]
    on_end: Callable[[Exchange, RequestOutcome], None]
    start: float
    end: float | None = None
    code: int | None = None
    refused: tuple[Id, ...] = field(default=())
    reached: bool = False

    def check_closed(self, now: float) -> None:
        """Set the end of the request if the master has closed the connection."""
        if self.end is None and is_closed(self.client.socket):
            self.end = now

    def run(self, fault: Fault | None) -> bool:
        """Handle the request with its fault; returns whether the connection stays open."""
        match fault:
            case Reset():
                self._end(RequestOutcome.WITHHELD)
                return reset(self.client.socket)
            case Unavailable() | Html() | Redirect():
                canned = canned_answer(fault)
                self.code = int(canned.split(b" ", 2)[1])
                return self._send(canned, RequestOutcome.WITHHELD) and not self.message.closes
            case Latency(seconds) if not pause(self.client.socket, seconds):
                return self._end(RequestOutcome.WITHHELD)
        answer = self._forward()
        if answer is None:
            return self._end(RequestOutcome.LOST if self.reached else RequestOutcome.WITHHELD)
        stays_open = self._return_answer(answer, fault)
        return stays_open and not (self.message.closes or answer.closes)

    def _return_answer(self, answer: Message, fault: Fault | None) -> bool:
        match fault:
            case HalfClose():
                self._end(RequestOutcome.LOST)
                return send_half(self.client.socket, answer.raw)
            case DropAnswer():
                return self._end(RequestOutcome.LOST)
            case BrokenJson():
                body = answer.body[: len(answer.body) // 2]
                return self._send(build_answer("200 OK", body, "application/json"), RequestOutcome.LOST)
            case SlowBody(seconds, pieces):
                return self._trickle(answer, seconds, pieces)
            case _:
                return self._send(answer.raw, self._outcome(answer))

    def _forward(self) -> Message | None:
        """The node's answer; None if it is unreachable, or if the node or the master closes the connection."""
        try:
            node = self.connect()
            self.reached = True
            node.socket.sendall(self.message.raw)
            if not wait_for_data(node.socket, unless_closed=self.client.socket):
                return None
            answer = node.read_answer()
        except (OSError, ConnectionLost):
            return None
        self.code = int(answer.first[1]) if answer.first[1].isdecimal() else None
        return answer

    def _outcome(self, answer: Message) -> RequestOutcome:
        """The outcome of an answer; also keeps the ids of a batch that the node refused."""
        try:
            body = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            return RequestOutcome.ANSWERED
        if not isinstance(body, dict) or body.get("status") != "success" or self.code != 200:  # noqa: PLR2004 - OK
            return RequestOutcome.ANSWERED
        value = body.get("value")
        refused = value.get("refused") if isinstance(value, dict) else None
        self.refused = tuple(refused) if isinstance(refused, dict) else ()
        return RequestOutcome.ACCEPTED

    def _trickle(self, answer: Message, seconds: float, pieces: int) -> bool:
        head, body = answer.head, answer.raw[len(answer.head) :]
        size = max(1, -(-len(body) // max(1, pieces)))
        first, *more = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        unsent = head
        for piece in (first, *more):
            with suppress(OSError):
                self.client.socket.sendall(unsent)
            if not pause(self.client.socket, seconds):
                return self._end(RequestOutcome.LOST)
            unsent = piece
        return self._send(unsent, self._outcome(answer))

    def _send(self, data: bytes, outcome: RequestOutcome) -> bool:
        """Send the last bytes to the master; returns whether it got them."""
        if is_closed(self.client.socket):
            return self._end(RequestOutcome.LOST if self.reached else outcome)
        self._end(outcome)
        try:
            self.client.socket.sendall(data)
        except OSError:
            return False
        return True

    def _end(self, outcome: RequestOutcome) -> bool:
        """Report the outcome. Returns False: without an answer the connection ends."""
        self.end = time.time() if self.end is None else self.end
        self.on_end(self, outcome)
        return False
