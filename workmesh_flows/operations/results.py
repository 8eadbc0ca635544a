"""Fetching the results of processed records, and making them fit the columns they go into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from workmesh_flows.adapters.node_client import HttpNodeClient, translated_errors
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of, is_column, python_type
from workmesh_flows.domain.protocol import Protocol, Pull
from workmesh_flows.errors import DefinitionError, RecordRefused, WorkmeshError
from workmesh_flows.planning.delivery import Sendable

Result: TypeAlias = Mapping[str, Any] | str | None
"""Values by attribute name, why it failed, or nothing to write."""

_READ = frozenset({str, int, float, bool, Decimal, UUID, datetime, date, time, timedelta})


def fetch(
    pull: Pull, page: Sequence[Sendable], client: HttpNodeClient, protocol: Protocol
) -> dict[Any, Result]:
    """The results of a page of records, by id; one that is not ready is left out.

    A failure that is one record's own becomes its result's text. Raises NodeError when the node is at fault.
    """
    found = _fetch_each(pull, page, client) if pull.size is None else _fetch_all(pull, page, client)
    return {record_id: _fitting(result, protocol) for record_id, result in found.items()}


def _fetch_each(pull: Pull, page: Sequence[Sendable], client: HttpNodeClient) -> dict[Any, Any]:
    return {item.id: _called(pull, item.record, client) for item in page}


def _fetch_all(pull: Pull, page: Sequence[Sendable], client: HttpNodeClient) -> dict[Any, Any]:
    if isinstance(pull.fetch, Get):
        with translated_errors():
            said: Any = pull.fetch([item.id for item in page], client)
    else:
        said = _called(pull, [item.record for item in page], client)
        if isinstance(said, str) and len(page) > 1:  # one of them is at fault: ask for each alone
            return {key: result for item in page for key, result in _fetch_all(pull, [item], client).items()}
    if said is None or isinstance(said, str):
        return dict.fromkeys((item.id for item in page), said)
    if not isinstance(said, Mapping):
        problem = f"it returned a {type(said).__name__}; it must return None, or values by id"
        raise DefinitionError("the pull function", [problem])
    by_text = {str(key): result for key, result in said.items()}
    return {item.id: by_text[str(item.id)] for item in page if str(item.id) in by_text}


def _called(pull: Pull, argument: Any, client: HttpNodeClient) -> Any:  # noqa: ANN401 - a user's function
    """What the user's function returns; a text where it failed for this record."""
    try:
        with translated_errors():
            return pull.fetch(argument, client)
    except RecordRefused as refusal:
        return client.scrub(refusal.reason)
    except WorkmeshError:
        raise
    except Exception as error:  # noqa: BLE001 - a user's function may raise anything; the record is at fault
        return client.scrub(f"the pull function raised {type(error).__name__}: {error}")


def _fitting(result: Any, protocol: Protocol) -> Result:  # noqa: ANN401 - a node's or a user's
    """A result with its values in the columns' own types, or the text that says why they do not fit."""
    if result is None or isinstance(result, str):
        return result
    if not isinstance(result, Mapping):
        return f"the result is a {type(result).__name__}, not values by column"
    values = {}
    for key, value in result.items():
        attribute = getattr(protocol.record, str(key), None)
        if attribute is None or not is_column(attribute):
            return f"the result names {key!r}, which is no column of {protocol.record.__name__}"
        try:
            values[str(key)] = _read(python_type(column_of(attribute)), value)
        except ValidationError as error:
            return f"the result does not fit {key}: {error.errors(include_input=False)[0]['msg']}"
    return values


def _read(kind: type | None, value: Any) -> Any:  # noqa: ANN401 - JSON in, a column's value out
    return _adapter(kind).validate_python(value) if kind in _READ and value is not None else value


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
