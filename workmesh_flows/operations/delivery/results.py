"""Fetching the results of processed records, and converting them to the types of the columns they are written to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.values import as_stored
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of, is_column, python_type
from workmesh_flows.domain.protocol import Pull
from workmesh_flows.errors import BatchTooLarge, DefinitionError, RecordRefused
from workmesh_flows.operations.delivery.user_functions import call, matched
from workmesh_flows.planning.bisection import Bisection, Sendable

Result: TypeAlias = Mapping[str, Any] | str | None
"""Values by attribute name, the reason of a failure, or None where there is nothing to write."""

_CONVERTED = frozenset({str, int, float, bool, Decimal, UUID, datetime, date, time, timedelta})


def fetch(
    tables: PullTables, page: Sequence[Sendable], client: HttpNodeClient, lease: LaneLease
) -> dict[Any, Result]:
    """The results of a page of records, by id; a record that is not ready is left out.

    A failure of one record becomes the text of its result. Raises NodeError where the node is at fault.
    """
    if tables.pull.size is None:
        found = {item.id: _fetch_one(tables.pull, item.record, client) for item in page}
    else:
        found = _fetch_all(tables, page, client, lease)
    reserved = {tables.id, *tables.push_flags.all, *tables.pull_flags.all}
    fitting = {
        record_id: _fitting(result, tables.protocol.record, reserved) for record_id, result in found.items()
    }
    # The text comes from a node or a user's function, or quotes one: it may hold the key.
    return {
        record_id: client.scrub(result) if isinstance(result, str) else result
        for record_id, result in fitting.items()
    }


def _fetch_one(pull: Pull, record: Any, client: HttpNodeClient) -> Any:  # noqa: ANN401 - a user's function
    try:
        return call(pull.fetch, record, client)
    except (RecordRefused, BatchTooLarge) as refusal:
        return refusal.reason


def _fetch_all(
    tables: PullTables, page: Sequence[Sendable], client: HttpNodeClient, lease: LaneLease
) -> dict[Any, Any]:
    """The results of a page, fetched in parts where a record is at fault, or where all together are too much."""
    found: dict[Any, Any] = {}
    usual = fits = lease.batch_limit
    bisection = Bisection(page, set(), at_most=usual)
    for part in bisection.parts():
        try:
            found |= _fetch_part(tables, part, client)
        except (RecordRefused, BatchTooLarge) as refusal:
            too_large = isinstance(refusal, BatchTooLarge)
            if len(part) == 1:
                found[part[0].id] = refusal.reason
                fits = usual if too_large else fits  # this result was too large, not the parts
                continue
            bisection.split(part)
            if too_large:
                fits = min(fits or len(part), (len(part) + 1) // 2)
    lease.batch_limit = fits  # for the rest of this run: the results of the next one may be shorter
    return found


def _fetch_part(tables: PullTables, part: Sequence[Sendable], client: HttpNodeClient) -> dict[Any, Any]:
    pull = tables.pull
    by_id = isinstance(pull.fetch, Get)
    result = call(pull.fetch, [item.id if by_id else item.record for item in part], client)
    if result is None:
        return {item.id: None for item in part}
    if not isinstance(result, Mapping):
        problem = f"it returned a {type(result).__name__}; it must return None, or values by id"
        raise DefinitionError("the pull function", [problem])
    found, _ = matched(result, part, tables.id)
    return found


def _fitting(result: Any, record: type[Any], reserved: Collection[Column[Any]]) -> Result:  # noqa: ANN401 - a node's or a user's
    """A result with its values in the columns' own types, or the reason why they do not fit.

    ``reserved`` columns, the id and the flags, may not be written by a result.
    """
    if result is None or isinstance(result, str):
        return result
    if not isinstance(result, Mapping):
        return f"the result is a {type(result).__name__}, not values by column"
    values = {}
    for key, value in result.items():
        attribute = getattr(record, str(key), None)
        if not is_column(attribute):
            return f"the result names {key!r}, which is no column of {record.__name__}"
        column = column_of(attribute)
        if column in reserved:
            return f"the result names {key!r}, which is the id or a flag"
        try:
            values[str(key)] = _converted(column, value)
        except ValidationError as error:
            return f"the result does not fit {key}: {error.errors(include_input=False)[0]['msg']}"
    return values


def _converted(column: Column[Any], value: Any) -> Any:  # noqa: ANN401 - JSON in, a column's value out
    kind = python_type(column)
    if value is None or kind not in _CONVERTED:
        return value
    converted = _adapter(kind).validate_python(value)
    return as_stored(converted, column) if isinstance(converted, datetime) else converted


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
