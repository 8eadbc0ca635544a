"""Fetching the results of processed records, and converting them to the types of the columns they are written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Dialect

from workmesh_flows.adapters.node_http.client import HttpNodeClient
from workmesh_flows.adapters.store.lanes import LaneLease
from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.domain.calls import Get
from workmesh_flows.domain.columns import column_of, first_line, is_column
from workmesh_flows.domain.protocol import Pull
from workmesh_flows.errors import BatchTooLarge, DefinitionError, RecordRefused
from workmesh_flows.operations.delivery.result_values import column_converter
from workmesh_flows.operations.delivery.user_functions import call, matched
from workmesh_flows.operations.delivery.value_forms import Convert
from workmesh_flows.planning.bisection import Bisection, Sendable

Result: TypeAlias = Mapping[str, Any] | str | None
"""Values by attribute name, the reason of a failure, or None where there is nothing to write."""


def fetch(
    tables: PullTables, page: Sequence[Sendable], client: HttpNodeClient, dialect: Dialect, lease: LaneLease
) -> dict[Any, Result]:
    """The results of a page of records, by id; a record that is not ready is left out.

    Their values are converted to what the columns hold in a database of this dialect. A failure of one record becomes
    the text of its result. Raises NodeError where the node is at fault.
    """
    if tables.pull.size is None:
        found = {item.id: _fetch_one(tables.pull, item.record, client) for item in page}
    else:
        found = _fetch_all(tables, page, client, lease)
    fitting = _Fitting(tables, dialect)
    results = {record_id: fitting.fit(result) for record_id, result in found.items()}
    # The text comes from a node or a user's function, or quotes one: it may hold the key.
    return {
        record_id: client.scrub(result) if isinstance(result, str) else result
        for record_id, result in results.items()
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


class _Fitting:
    """Converts results to the values of columns; the columns are resolved once for a batch."""

    def __init__(self, tables: PullTables, dialect: Dialect) -> None:
        self._record, self._dialect = tables.protocol.record, dialect
        self._reserved = {tables.id, *tables.push_flags.all, *tables.pull_flags.all}
        self._converters: dict[str, Convert | str] = {}

    def fit(self, result: Any) -> Result:  # noqa: ANN401 - a node's or a user's
        """A result with its values in the columns' own types, or the reason why they do not fit."""
        if result is None or isinstance(result, str):
            return result
        if not isinstance(result, Mapping):
            return f"the result is a {type(result).__name__}, not values by column"
        values = {}
        for name, value in result.items():
            key = str(name)
            convert = self._converters.get(key)
            if convert is None:
                convert = self._converters[key] = self._converter(key)
            if isinstance(convert, str):
                return convert
            try:
                values[key] = convert(value)
            except Exception as error:  # noqa: BLE001 - the value is a node's, and the type may be a user's
                return f"the result does not fit {key}: {first_line(error)}"
        return values

    def _converter(self, key: str) -> Convert | str:
        attribute = getattr(self._record, key, None)
        if not is_column(attribute):
            return f"the result names {key!r}, which is no column of {self._record.__name__}"
        column = column_of(attribute)
        if column in self._reserved:
            return f"the result names {key!r}, which is the id or a flag"
        return column_converter(column, self._dialect)
