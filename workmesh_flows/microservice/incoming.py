"""The records of a push, read from its payload and checked before anything is stored."""

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
    """A record of a push; `body` is its JSON from before the user's check, which may change `record`."""

    id: RecordId
    record: Record
    body: str

    @property
    def id_text(self) -> str:
        """The id as text: 12 and "12" are the same record, because a pull names both as "12"."""
        return str(self.id)


def read_records(protocol: Protocol, payload: dict[str, Any]) -> list[IncomingRecord]:
    """Read one record or a batch under the only key of the payload; raises `RequestDenied` for any other payload."""
    if len(payload) != 1:
        message = f"beside api_key one key with a record or a list of records is expected, not {len(payload)}"
        raise RequestDenied(message)
    (content,) = payload.values()
    records = content if isinstance(content, list) else [content]
    size = len(records)
    return [
        _incoming_record(protocol, record, f"record {at} of {size}") for at, record in enumerate(records, 1)
    ]


def check_records(protocol: Protocol, incoming: Sequence[IncomingRecord], known: Collection[str]) -> None:
    """Call the user's check on new records; raises `RequestDenied` with the first reason and the record's id.

    One refused record refuses its whole batch: otherwise later records of the same account would overtake the refused
    one before its master has decided about it. The master finds the refused record by bisection and sends the other
    records again, except those that wait behind it: this preserves the order within an account.
    """
    if protocol.check is None:
        return
    for item in incoming:
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
    record_id = record.get(protocol.id_key)
    if not is_id(record_id):
        message = f"{place} needs an integer or a text of 1 to {ID_LIMIT} characters as {protocol.id_key!r}"
        if protocol.id_key not in record:
            message += f"; if its id has another name, declare it: protocol({protocol.name!r}, id=...)"
        raise RequestDenied(message)
    try:
        return IncomingRecord(record_id, record, orjson.dumps(record).decode())
    except orjson.JSONEncodeError as error:  # orjson parses deeper nesting than it serializes
        message = f"record {record_id} is nested too deeply"
        raise RequestDenied(message) from error
