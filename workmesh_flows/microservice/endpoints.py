"""The endpoints of a node: the answer of each to an admitted request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import orjson

from workmesh_flows.microservice.admission import Call
from workmesh_flows.microservice.backlog import workload
from workmesh_flows.microservice.database import Database
from workmesh_flows.microservice.envelope import RequestDenied
from workmesh_flows.microservice.epochs import read_sender, save_epoch
from workmesh_flows.microservice.incoming import check_records, read_records
from workmesh_flows.microservice.protocol import ID_LIMIT, Protocol, RecordId, is_id
from workmesh_flows.microservice.results import failed_records, latest_processed, results_of
from workmesh_flows.microservice.store_push import known_records, saved_answer, store_batch

Handler: TypeAlias = Callable[[Call], object]
"""Returns the value of a successful answer, or raises `RequestDenied`; several threads may call it at a time."""

MARK = re.compile(r"[0-9]{1,18}")


def endpoints(
    version: str, protocols: Iterable[Protocol], database: Database, on_stored: Callable[[], None]
) -> dict[str, Handler]:
    """The handler of each path; `on_stored` is called after the commit of each push."""
    handlers: dict[str, Handler] = {
        "/api/1.0/ping.json": lambda _: "",
        "/api/1.0/version.json": lambda _: version,
        "/api/1.0/workload.json": lambda _: workload(database),
    }
    for protocol in protocols:
        handlers |= _protocol_endpoints(protocol, database, on_stored)
    return handlers


def _protocol_endpoints(
    protocol: Protocol, database: Database, on_stored: Callable[[], None]
) -> dict[str, Handler]:
    path = f"/api/1.0/{protocol.name}"

    def push(call: Call) -> object:
        key, sender = call.idempotency_key, read_sender(call, f"{path}/push.json")
        value = saved_answer(database, protocol.name, key)
        save_epoch(database, sender)  # before a saved answer is returned: a replaced sender must get an error
        if value is None:
            arriving = read_records(protocol, call.payload)
            known = known_records(database, protocol.name, arriving, key)
            check_records(protocol, arriving, known.settled)
            has_known = bool(known.settled or known.replaced)
            value = store_batch(
                database, protocol.name, arriving, key=key, sender=sender, has_known=has_known
            )
            on_stored()
        return orjson.Fragment(value)

    def status(_: Call) -> object:
        return latest_processed(database, protocol.name)

    def pull(call: Call) -> object:
        return results_of(database, protocol.name, _ids(call.payload))

    def failed(call: Call) -> object:
        return failed_records(database, protocol.name, _mark(call.payload))

    return {
        f"{path}/push.json": push,
        f"{path}/status.json": status,
        f"{path}/pull.json": pull,
        f"{path}/failed.json": failed,
    }


def _mark(payload: dict[str, Any]) -> str | None:
    mark = payload.get("after")
    if mark is not None and not (isinstance(mark, str) and MARK.fullmatch(mark)):
        message = "after must be null or the mark that the last answer gave as next"
        raise RequestDenied(message)
    return mark


def _ids(payload: dict[str, Any]) -> list[RecordId]:
    ids = payload.get("ids")
    if not isinstance(ids, list) or not all(is_id(id_) for id_ in ids):
        message = f"ids must be a list of integers and texts of 1 to {ID_LIMIT} characters"
        raise RequestDenied(message)
    return ids
