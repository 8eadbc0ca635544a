"""The highest epoch of each lane: a sender with a lower one was replaced, and its push is rejected."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from http import HTTPStatus

from workmesh_flows.microservice.admission import Call
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.envelope import RequestDenied

EPOCH_LIMIT = 2**63 - 1
"""The largest integer of SQLite."""

LANE_LIMIT = 1000
"""Largest number of characters of a Workmesh-Lane, which is stored; a master's names have up to 401."""

NUMBER = re.compile(r"0*([0-9]{1,19})")
LANE = re.compile(r"[A-Za-z0-9._~%-]+/[A-Za-z0-9._~%/-]+")

HIGHEST = "SELECT epoch FROM epochs WHERE lane = ?"
RAISE = """
INSERT INTO epochs (lane, epoch) VALUES (?, ?) ON CONFLICT (lane) DO UPDATE SET epoch = excluded.epoch
"""


@dataclass(frozen=True)
class Sender:
    """The sender of a push; without a header, its lane is the endpoint's path, which starts with a slash."""

    lane: str
    epoch: int


def read_sender(call: Call, path: str) -> Sender | None:
    """The sender of a push to `path`, None without an epoch; raises `RequestDenied` for an invalid header."""
    if call.epoch is None:
        return None
    number = NUMBER.fullmatch(call.epoch)
    if number is None or int(number[1]) > EPOCH_LIMIT:
        message = f"Workmesh-Epoch must be an integer from 0 to {EPOCH_LIMIT}"
        raise RequestDenied(message, HTTPStatus.BAD_REQUEST)
    if not call.lane:
        return Sender(path, int(number[1]))
    if len(call.lane) > LANE_LIMIT or LANE.fullmatch(call.lane) is None:
        message = (
            f"Workmesh-Lane must be <service>/<protocol>, percent-encoded, in up to {LANE_LIMIT} characters"
        )
        raise RequestDenied(message, HTTPStatus.BAD_REQUEST)
    return Sender(call.lane, int(number[1]))


def save_epoch(database: Database, sender: Sender | None) -> None:
    """Call `raise_epoch` when a push arrives, and commit the epoch even if the records are refused.

    A new sender replaces the old one also if its first batch is refused, or was stored by the old one. The write
    lock is taken only for an epoch that differs from the stored one: once for each lease of a lane.
    """
    if sender is not None and database.rows(HIGHEST, (sender.lane,)) != [(sender.epoch,)]:
        with database.transaction() as cursor:
            raise_epoch(cursor, sender)


def raise_epoch(cursor: sqlite3.Cursor, sender: Sender | None) -> None:
    """In a transaction, store the epoch; raises `RequestDenied` if the lane has a higher one."""
    if sender is None:
        return
    found = cursor.execute(HIGHEST, (sender.lane,)).fetchone()
    highest = -1 if found is None else int(found[0])
    if sender.epoch < highest:
        raise RequestDenied(
            f"stale epoch: this lane was pushed to under epoch {highest}, this request has epoch {sender.epoch}",
            HTTPStatus.PRECONDITION_FAILED,
            value={"epoch": highest},
        )
    if sender.epoch > highest:
        cursor.execute(RAISE, (sender.lane, sender.epoch))
