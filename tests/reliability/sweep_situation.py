"""The situation of the sweep and its expected end: one record for each kind of problem, among many without any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from tests.reliability.mail_mesh import Account, Base, Delivery, Open
from workmesh_flows.testing import DropAnswer, Fault, Request, Unavailable, parse_request

BODY_LIMIT = 32_000
"""Largest request body of the node, in bytes; a batch of the busy account's last deliveries is larger."""
BUSY, REFUSED, FIXED, FAILING, MISFIT, RETURNED = range(1, 7)
"""Accounts, named by the problem of one of their deliveries; the returned one was moved away from its node and back."""
OF_BUSY, LONG, OF_OTHERS, OF_RETURNED = 105, 20, 15, 4
RETURNED_IDS = range(1, OF_RETURNED + 1)
BUSY_IDS = range(101, 101 + OF_BUSY)


def of(account: int) -> range:
    """The ids of the deliveries of one of the accounts 2 to 5, which alternate."""
    return range(300 + account, 300 + account + 4 * OF_OTHERS, 4)


BAD, CURABLE, IMPOSSIBLE, TOO_MUCH = of(REFUSED)[6], of(FIXED)[3], of(FAILING)[4], of(MISFIT)[5]
DROPPED = of(MISFIT)[-2]
"""The delivery whose first request loses its answer."""
BEHIND = [number for number in of(REFUSED) if number >= BAD]
SKIPPED_OPEN, WAITING_OPEN, DROPPED_OPEN, FAILING_OPEN = 2, 4, 5, 7
OPENS = {
    1: BUSY_IDS[0],
    SKIPPED_OPEN: BUSY_IDS[1],
    3: BUSY_IDS[2],
    WAITING_OPEN: BAD,
    DROPPED_OPEN: of(MISFIT)[0],
    6: of(MISFIT)[1],
    FAILING_OPEN: of(MISFIT)[2],
}
CLIENTS = {SKIPPED_OPEN: "", FAILING_OPEN: "unknown"}
DELIVERED = sorted({*RETURNED_IDS, *BUSY_IDS, *(n for a in range(2, 6) for n in of(a))} - set(BEHIND))
OPENED = sorted(OPENS.keys() - {SKIPPED_OPEN, WAITING_OPEN})
FIXED_BY_NODE = {("delivery", IMPOSSIBLE), ("open", FAILING_OPEN)}
"""Records that the node cannot process until its bugs are fixed; then they are replayed."""
FAILED = FIXED_BY_NODE | {("delivery", TOO_MUCH)}
"""Records that fail at first; the last of them fails again after its replay."""
SUBJECTS = {IMPOSSIBLE: "impossible", TOO_MUCH: "too much"} | dict.fromkeys(BUSY_IDS[-LONG:], "x" * 2_000)


def write_returned(engine: Engine) -> None:
    """Write all accounts, and the deliveries of the account that is moved away and back."""
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.execute(
            insert(Account), [{"id": account, "node": "n1"} for account in range(BUSY, RETURNED + 1)]
        )
        session.execute(insert(Delivery), [_delivery(number, RETURNED) for number in RETURNED_IDS])


def write_others(engine: Engine) -> None:
    """Write all other deliveries, and the opens."""
    with Session(engine) as session, session.begin():
        owners = {number: account for account in range(2, 6) for number in of(account)}
        owners |= dict.fromkeys(BUSY_IDS, BUSY)
        session.execute(insert(Delivery), [_delivery(number, owner) for number, owner in owners.items()])
        opens = [
            {
                "id": number,
                "delivery_id": of_delivery,
                "position": number,
                "client": CLIENTS.get(number, "a client"),
            }
            for number, of_delivery in OPENS.items()
        ]
        session.execute(insert(Open), opens)


def _delivery(number: int, account: int) -> dict[str, Any]:
    email = "no address" if number in {BAD, CURABLE} else f"{number}@example.com"
    subject = SUBJECTS.get(number, f"subject {number}")
    return {
        "id": number,
        "account_id": account,
        "position": number // 8,
        "email": email,
        "subject": subject,
    }


def fix_deliveries(engine: Engine) -> None:
    """Fix the curable delivery once it is refused, as a user would; idempotent."""
    refused = Delivery.id == CURABLE, Delivery.push_success.is_(False)
    with engine.begin() as connection:
        connection.execute(update(Delivery).where(*refused).values(email="fixed@example.com"))


TIMES_LOST = {"delivery": 1, "open": 2}
"""How often the node is lost during a push, by protocol."""


@dataclass(slots=True)
class NetworkFaults:
    """A policy of the proxy: the number of faults left for each kind of request, over all masters.

    ``keys`` are the Idempotency-Keys of the pushes of each failed record, from those before and after its replay.

    After a lost answer to a push, the answers to its repetition and to the next ping are lost, too, as where the node has
    died.
    """

    is_fixed: Callable[[], bool]
    left: dict[str, int] = field(default_factory=lambda: {**TIMES_LOST, "status": 1})
    keys: defaultdict[tuple[str, int, bool], set[str]] = field(default_factory=lambda: defaultdict(set))
    repeats: bool = False
    lost: bool = False

    def __call__(self, request: Request) -> Fault | None:
        content = parse_request(request)
        if content.direction == "push":
            for protocol, number in FAILED & {(str(content.protocol), int(one)) for one in content.ids}:
                key = request.headers["idempotency-key"]
                self.keys[protocol, number, self.is_fixed()].add(key)
        if content.direction == "push" and {DROPPED: "delivery", DROPPED_OPEN: "open"}.items() & {
            (number, content.protocol) for number in content.ids
        }:
            self.lost, self.repeats = self.repeats, not self.repeats and self._use(str(content.protocol))
            return DropAnswer() if self.lost or self.repeats else None
        if self.lost and request.path.endswith("/ping.json"):
            self.lost = False
            return DropAnswer()
        if request.path.endswith("/status.json"):
            return Unavailable() if self._use("status") else None
        return None

    def _use(self, kind: str) -> bool:
        self.left[kind] -= 1
        return self.left[kind] >= 0
