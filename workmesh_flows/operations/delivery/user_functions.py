"""Calling a user's push or pull function, and matching what it returned by id to the records that it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.node_http.errors import translated_http_errors
from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import parse_key
from workmesh_flows.errors import (
    NodeError,
    RecordRefused,
    RequestCrashed,
    StoreError,
    StoreUnavailable,
    UnreadableAnswer,
    WorkmeshError,
)
from workmesh_flows.planning.bisection import Sendable


def call(
    function: Callable[[Any, HttpNodeClient], Any],
    records: Any,  # noqa: ANN401 - a record, several, or ids
    client: HttpNodeClient,
    *,
    doubted: bool = True,
) -> Any:  # noqa: ANN401 - a user's function
    """Return what a user's function returns; raises RecordRefused where the records are at fault.

    A ``doubted`` refusal is checked with a ping: a node refuses a wrong key in the same words as a bad record, and a
    function that cannot read the answer of a failing node raises any exception. A crash of the node, and an answer that
    cannot be read, is always checked with a ping: where the node answers it, the records are at fault. Raises NodeError
    or StoreUnavailable where the node or the database is at fault. No error text holds the key.
    """
    try:
        with translated_http_errors(), translated_errors():
            return function(records, client)
    except RequestCrashed as crash:
        client.ping()
        raise RecordRefused(f"the node crashes on it: {client.scrub(crash.reason)}") from crash
    except UnreadableAnswer as error:
        client.ping()
        raise RecordRefused(client.scrub(error.reason)) from error
    except NodeError as error:
        error.node, error.reason = error.node or client.name, client.scrub(error.reason)
        raise
    except StoreUnavailable:
        raise
    except RecordRefused as refusal:
        cause: Exception = refusal
        reason = refusal.reason
    except StoreError as error:  # a relationship that was loaded, or a query of the function's own
        cause, reason = error, f"the function's query failed: {error}"
    except WorkmeshError:
        raise
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything; its records are at fault
        cause, reason = error, f"the function raised {type(error).__name__}: {error}"
    if doubted:
        client.ping()
    raise RecordRefused(client.scrub(str(reason))) from cause


def matched(
    result: Mapping[Any, Any], part: Sequence[Sendable], key: Column[Any]
) -> tuple[dict[Any, Any], list[str]]:
    """The result's values under the ids of the records in ``part``, and the result's keys that are none of them.

    ``key`` is the id column, whose type reads other spellings of an id.
    """
    own = {item.id: item.id for item in part}
    by_text = {str(item.id): item.id for item in part}
    found: dict[Any, Any] = {}
    unknown = []
    for name, value in result.items():
        record_id = by_text[str(name)] if str(name) in by_text else own.get(_parsed(key, name))
        if record_id is None:
            unknown.append(str(name))
        else:
            found[record_id] = value
    return found, unknown


def _parsed(key: Column[Any], name: Any) -> Any:  # noqa: ANN401 - any key
    """A name as an id, None where it cannot be one: UUIDs and numbers have more than one spelling."""
    try:
        return parse_key(key, name)
    except ValueError:
        return None
