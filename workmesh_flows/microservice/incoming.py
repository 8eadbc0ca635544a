"""The records of a push, read from its payload and judged before anything is stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from workmesh_flows.errors import RecordRefused
from workmesh_flows.microservice.envelope import RequestDenied
from workmesh_flows.microservice.protocol import ID_LIMIT, Protocol, Record, RecordId, is_id


@dataclass(frozen=True)
class IncomingRecord:
    """A record on its way into the store; `body` is the JSON of what came, before any check touched it."""

    id: RecordId
    record: Record
    body: str

    @property
    def id_text(self) -> str:
        """The id as text: 12 and "12" are the same record, because a pull names both "12"."""
        return str(self.id)


def read_records(protocol: Protocol, payload: dict[str, Any]) -> list[IncomingRecord]:
    """One record or a batch, under the only key of the payload, whatever its name."""
    if len(payload) != 1:
        message = f"beside api_key one key with a record or a list of records is expected, not {len(payload)}"
        raise RequestDenied(message)
    (content,) = payload.values()
    records = content if isinstance(content, list) else [content]
    size = len(records)
    return [
        _incoming_record(protocol, record, f"record {at} of {size}") for at, record in enumerate(records, 1)
    ]


def check_records(protocol: Protocol, arriving: Sequence[IncomingRecord], known: Collection[str]) -> None:
    """Call the user's check on what is new; raises `RequestDenied` with the first reason, naming the record.

    One refused record refuses its whole batch. To store the others would let the later records of the same
    account overtake the refused one, which its master has yet to decide about. The master finds the culprit
    by bisection, sets it aside with what follows it, and sends the rest again: so the order within an account
    is kept.
    """
    if protocol.check is None:
        return
    for item in arriving:
        if item.id_text in known:
            continue
        try:
            protocol.check(item.record)
        except RecordRefused as refused:
            message = f"record {item.id}: {refused.reason}"
            raise RequestDenied(message) from refused


def _incoming_record(protocol: Protocol, record: object, place: str) -> IncomingRecord:
    if not isinstance(record, dict):
        message = f"{place} is not a JSON object"
        raise RequestDenied(message)
    given = record.get(protocol.id_key)
    if not is_id(given):
        message = f"{place} needs an integer or a text of 1 to {ID_LIMIT} characters as {protocol.id_key!r}"
        raise RequestDenied(message)
    try:
        return IncomingRecord(given, record, orjson.dumps(record).decode())
    except orjson.JSONEncodeError as error:  # orjson reads deeper nesting than it writes
        message = f"record {given} is nested too deeply"
        raise RequestDenied(message) from error
