"""Fetching the results of processed records, and making them fit the columns they go into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.values import as_stored
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of, is_column, python_type
from workmesh_flows.domain.protocol import Protocol, Pull
from workmesh_flows.errors import BatchTooLarge, DefinitionError, RecordRefused
from workmesh_flows.operations.delivery.user_functions import call, matched
from workmesh_flows.planning.batching import Sendable

Result: TypeAlias = Mapping[str, Any] | str | None
"""Values by attribute name, why it failed, or nothing to write."""

_READ = frozenset({str, int, float, bool, Decimal, UUID, datetime, date, time, timedelta})


def fetch(
    pull: Pull, page: Sequence[Sendable], client: HttpNodeClient, protocol: Protocol
) -> dict[Any, Result]:
    """The results of a page of records, by id; one that is not ready is left out.

    A failure that is one record's own becomes its result's text. Raises NodeError when the node is at fault.
    """
    if pull.size is None:
        found = {item.id: _fetch_one(pull, item.record, client) for item in page}
    else:
        found = _fetch_all(pull, page, client, protocol)
    fitting = {record_id: _fitting(result, protocol) for record_id, result in found.items()}
    # A text is a node's or a function's own, or quotes one: it may hold the key.
    return {key: client.scrub(said) if isinstance(said, str) else said for key, said in fitting.items()}


def _fetch_one(pull: Pull, record: Any, client: HttpNodeClient) -> Any:  # noqa: ANN401 - a user's function
    try:
        return call(pull.fetch, record, client)
    except (RecordRefused, BatchTooLarge) as refusal:
        return refusal.reason


def _fetch_all(
    pull: Pull, page: Sequence[Sendable], client: HttpNodeClient, protocol: Protocol
) -> dict[Any, Any]:
    by_id = isinstance(pull.fetch, Get)
    try:
        said = call(pull.fetch, [item.id if by_id else item.record for item in page], client)
    except (RecordRefused, BatchTooLarge) as refusal:
        if len(page) == 1:
            return {page[0].id: refusal.reason}
        middle = len(page) // 2  # one of them is at fault, or all of them are too much at once
        halves = (_fetch_all(pull, half, client, protocol) for half in (page[:middle], page[middle:]))
        return {record_id: result for half in halves for record_id, result in half.items()}
    if said is None:
        return {item.id: None for item in page}
    if not isinstance(said, Mapping):
        problem = f"it returned a {type(said).__name__}; it must return None, or values by id"
        raise DefinitionError("the pull function", [problem])
    found, _ = matched(said, page, protocol)
    return found


def _fitting(result: Any, protocol: Protocol) -> Result:  # noqa: ANN401 - a node's or a user's
    """A result with its values in the columns' own types, or the text that says why they do not fit."""
    if result is None or isinstance(result, str):
        return result
    if not isinstance(result, Mapping):
        return f"the result is a {type(result).__name__}, not values by column"
    ours = {column_of(column) for flags in protocol.flags for column in flags.columns}
    ours.add(column_of(protocol.id))
    values = {}
    for key, value in result.items():
        attribute = getattr(protocol.record, str(key), None)
        if not is_column(attribute):
            return f"the result names {key!r}, which is no column of {protocol.record.__name__}"
        if column_of(attribute) in ours:
            return f"the result names {key!r}, which is the id or a flag"
        try:
            values[str(key)] = _read(column_of(attribute), value)
        except ValidationError as error:
            return f"the result does not fit {key}: {error.errors(include_input=False)[0]['msg']}"
    return values


def _read(column: Column[Any], value: Any) -> Any:  # noqa: ANN401 - JSON in, a column's value out
    kind = python_type(column)
    if value is None or kind not in _READ:
        return value
    read = _adapter(kind).validate_python(value)
    return as_stored(read, column) if isinstance(read, datetime) else read


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
