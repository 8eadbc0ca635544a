"""Calling a push or pull function, and matching what it says by id to the records it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.node_http.errors import translated_http_errors
from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.domain.columns import column_of
from workmesh_flows.domain.protocol import Protocol
from workmesh_flows.errors import (
    NodeError,
    RecordRefused,
    RequestCrashed,
    StoreError,
    StoreUnavailable,
    WorkmeshError,
)
from workmesh_flows.planning.batching import Sendable


def call(
    function: Callable[[Any, HttpNodeClient], Any],
    records: Any,  # noqa: ANN401 - a record, several, or ids
    client: HttpNodeClient,
    *,
    doubted: bool = True,
) -> Any:  # noqa: ANN401 - a user's function
    """What a function of the user's says; raises RecordRefused where the records are at fault.

    A fault that is ``doubted`` is followed by a ping, since a node refuses a wrong key in the same words as a bad
    record, and a function that cannot read the answer of a dying node raises anything. A crash is always followed
    by one: if the node is well again at once, the records are at fault. Raises NodeError or StoreUnavailable where
    the node or the database is; no text holds the key.
    """
    try:
        with translated_http_errors(), translated_errors():
            return function(records, client)
    except RequestCrashed as crash:
        client.ping()
        raise RecordRefused(f"the node crashes on it: {client.scrub(crash.reason)}") from crash
    except NodeError as error:
        error.node, error.reason = error.node or client.name, client.scrub(error.reason)
        raise
    except StoreUnavailable:
        raise
    except RecordRefused as refusal:
        cause: Exception = refusal
        reason = refusal.reason
    except StoreError as error:  # by way of a relationship, or a query of its own
        cause, reason = error, f"the function's query failed: {error}"
    except WorkmeshError:
        raise
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything; its records are at fault
        cause, reason = error, f"the function raised {type(error).__name__}: {error}"
    if doubted:
        client.ping()
    raise RecordRefused(client.scrub(str(reason))) from cause


def matched(
    said: Mapping[Any, Any], part: Sequence[Sendable], protocol: Protocol
) -> tuple[dict[Any, Any], list[str]]:
    """What is said by id, under the records' own ids; and the keys that are no id of these records."""
    own = {item.id: item.id for item in part}
    by_text = {str(item.id): item.id for item in part}
    found: dict[Any, Any] = {}
    strangers = []
    for key, value in said.items():
        record_id = by_text[str(key)] if str(key) in by_text else own.get(_parsed(protocol, key))
        if record_id is None:
            strangers.append(str(key))
        else:
            found[record_id] = value
    return found, strangers


def _parsed(protocol: Protocol, key: Any) -> Any:  # noqa: ANN401 - any key
    """A key as an id: UUIDs and numbers have more than one spelling."""
    try:
        return parse_key(column_of(protocol.id), key)
    except ValueError:
        return None
