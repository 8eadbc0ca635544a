"""One request's way through a proxy: to the node and back, with the fault that it meets."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

from workmesh_flows.testing.history.events import Id, RequestOutcome
from workmesh_flows.testing.proxy.canned_answers import canned_answer, reset, send_half, written
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
from workmesh_flows.testing.proxy.http_wire import Connection, CutError, Message, gone, pause, wait_for


@dataclass(slots=True)
class Exchange:
    """A request that was read, the connection it came by, and a way to connect to the node.

    ``told`` is called once, before the master can see the end of it: what comes next has not begun then.
    """

    message: Message
    client: Connection
    connect: Callable[[], Connection]
    told: Callable[[Exchange, RequestOutcome], None]
    start: float
    end: float | None = None
    code: int | None = None
    refused: tuple[Id, ...] = field(default=())
    reached: bool = False

    def check_closed(self, now: float) -> None:
        """Where the master has hung up, it was over by now."""
        if self.end is None and gone(self.client.socket):
            self.end = now

    def play(self, fault: Fault | None) -> bool:
        """Do what the fault says; whether the connection goes on."""
        match fault:
            case Reset():
                self._over(RequestOutcome.WITHHELD)
                return reset(self.client.socket)
            case Unavailable() | Html() | Redirect():
                answer = canned_answer(fault)
                self.code = int(answer.split(b" ", 2)[1])
                return self._say(answer, RequestOutcome.WITHHELD) and not self.message.closes
            case Latency(seconds) if not pause(self.client.socket, seconds):
                return self._over(RequestOutcome.WITHHELD)
        answered = self._forward()
        if answered is None:
            return self._over(RequestOutcome.LOST if self.reached else RequestOutcome.WITHHELD)
        goes_on = self._hand_back(answered, fault)
        return goes_on and not (self.message.closes or answered.closes)

    def _hand_back(self, answered: Message, fault: Fault | None) -> bool:
        match fault:
            case HalfClose():
                self._over(RequestOutcome.LOST)
                return send_half(self.client.socket, answered.raw)
            case DropAnswer():
                return self._over(RequestOutcome.LOST)
            case BrokenJson():
                body = answered.body[: len(answered.body) // 2]
                return self._say(written("200 OK", body, "application/json"), RequestOutcome.LOST)
            case SlowBody(seconds, pieces):
                return self._trickle(answered, seconds, pieces)
            case _:
                return self._say(answered.raw, self._outcome(answered))

    def _forward(self) -> Message | None:
        """What the node answers; None where it cannot be reached or hangs up, or the master does."""
        try:
            node = self.connect()
            self.reached = True
            node.socket.sendall(self.message.raw)
            if not wait_for(node.socket, beside=self.client.socket):
                return None
            answered = node.answer()
        except (OSError, CutError):
            return None
        self.code = int(answered.first[1]) if answered.first[1].isdecimal() else None
        return answered

    def _outcome(self, answered: Message) -> RequestOutcome:
        """Success or not; what the node refuses of a batch is noted by its ids."""
        try:
            said = orjson.loads(answered.body)
        except orjson.JSONDecodeError:
            return RequestOutcome.ANSWERED
        if not isinstance(said, dict) or said.get("status") != "success" or self.code != 200:  # noqa: PLR2004 - OK
            return RequestOutcome.ANSWERED
        value = said.get("value")
        refused = value.get("refused") if isinstance(value, dict) else None
        self.refused = tuple(refused) if isinstance(refused, dict) else ()
        return RequestOutcome.ACCEPTED

    def _trickle(self, answered: Message, seconds: float, pieces: int) -> bool:
        head, body = answered.head, answered.raw[len(answered.head) :]
        size = max(1, -(-len(body) // max(1, pieces)))
        first, *more = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        held = head
        for piece in (first, *more):
            with suppress(OSError):
                self.client.socket.sendall(held)
            if not pause(self.client.socket, seconds):
                return self._over(RequestOutcome.LOST)
            held = piece
        return self._say(held, self._outcome(answered))

    def _say(self, said: bytes, outcome: RequestOutcome) -> bool:
        """Hand over the last bytes; whether the master is there to take them."""
        if gone(self.client.socket):
            return self._over(RequestOutcome.LOST if self.reached else outcome)
        self._over(outcome)
        try:
            self.client.socket.sendall(said)
        except OSError:
            return False
        return True

    def _over(self, outcome: RequestOutcome) -> bool:
        """Tell what became of it; False, for the connection ends unless something is said."""
        self.end = time.time() if self.end is None else self.end
        self.told(self, outcome)
        return False
