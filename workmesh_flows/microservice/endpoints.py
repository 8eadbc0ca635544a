"""The access points of a node: what each of them answers to an admitted call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import orjson

from workmesh_flows.microservice.admission import Call
from workmesh_flows.microservice.backlog import workload
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.envelope import RequestDenied
from workmesh_flows.microservice.epochs import note_epoch, read_sender
from workmesh_flows.microservice.incoming import check_records, read_records
from workmesh_flows.microservice.protocol import ID_LIMIT, Protocol, RecordId, is_id
from workmesh_flows.microservice.results import latest_processed, pulled
from workmesh_flows.microservice.store_push import accept, known_ids, remembered_answer

Answer: TypeAlias = Callable[[Call], object]
"""Gives the value of a successful answer, or raises `RequestDenied`; called in a thread, some at a time."""


def endpoints(
    version: str, protocols: Iterable[Protocol], database: Database, stored: Callable[[], None]
) -> dict[str, Answer]:
    """Path by path; `stored` is called after each push that was committed."""
    points: dict[str, Answer] = {
        "/api/1.0/ping.json": lambda _: "",
        "/api/1.0/version.json": lambda _: version,
        "/api/1.0/workload.json": lambda _: workload(database),
    }
    for protocol in protocols:
        points |= _protocol_endpoints(protocol, database, stored)
    return points


def _protocol_endpoints(
    protocol: Protocol, database: Database, stored: Callable[[], None]
) -> dict[str, Answer]:
    path = f"/api/1.0/{protocol.name}"

    def push(call: Call) -> object:
        key, sender = call.idempotency_key, read_sender(call, f"{path}/push.json")
        value = remembered_answer(database, protocol.name, key)
        note_epoch(database, sender)  # before the answer above is given: a paused sender must learn of it
        if value is None:
            arriving = read_records(protocol, call.payload)
            check_records(protocol, arriving, known_ids(database, protocol.name, arriving))
            value = accept(database, protocol.name, arriving, key=key, sender=sender)
            stored()
        return orjson.Fragment(value)

    def status(_: Call) -> object:
        return latest_processed(database, protocol.name)

    def pull(call: Call) -> object:
        return pulled(database, protocol.name, _ids(call.payload))

    return {f"{path}/push.json": push, f"{path}/status.json": status, f"{path}/pull.json": pull}


def _ids(payload: dict[str, Any]) -> list[RecordId]:
    ids = payload.get("ids")
    if not isinstance(ids, list) or not all(is_id(id_) for id_ in ids):
        message = f"ids must be a list of integers and texts of 1 to {ID_LIMIT} characters"
        raise RequestDenied(message)
    return ids
