"""The results of processed records: requested, and converted to the types of the columns they are written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import Dialect

from workmesh_flows.adapters.store.protocol_tables import PullTables
from workmesh_flows.adapters.store.record_pages import Page
from workmesh_flows.domain.calls import UnreadableResult
from workmesh_flows.domain.columns import column_of, first_line, is_column
from workmesh_flows.operations.delivery.result_requests import ResultRequests
from workmesh_flows.operations.delivery.result_values import column_converter
from workmesh_flows.operations.delivery.value_forms import Convert

Result: TypeAlias = Mapping[str, Any] | str | None
"""Values by attribute name, the reason of a failure (an UnreadableResult where the node has stated none), or None where
there is nothing to write."""


def fetch(requests: ResultRequests, page: Page, *, certain: bool) -> dict[Any, Result]:
    """The results of a page of records, by id, as :meth:`ResultRequests.fetch` has them.

    Their values are converted to what the columns hold in the database. A failure of one record becomes the text of its
    result. Raises NodeError where the node is at fault.
    """
    found = requests.fetch(page, certain=certain)
    fitting = _Fitting(requests.tables, requests.context.engine.dialect)
    results = {record_id: fitting.fit(result) for record_id, result in found.items()}
    # The text comes from a node or a user's function, or quotes one: it may hold the key.
    return {
        record_id: type(result)(requests.client.scrub(result)) if isinstance(result, str) else result
        for record_id, result in results.items()
    }


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
            return UnreadableResult(f"the result is a {type(result).__name__}, not values by column")
        values = {}
        for name, value in result.items():
            key = str(name)
            convert = self._converters.get(key)
            if convert is None:
                convert = self._converters[key] = self._converter(key)
            if isinstance(convert, str):
                return UnreadableResult(convert)
            try:
                values[key] = convert(value)
            except Exception as error:  # noqa: BLE001 - the value is a node's, and the type may be a user's
                return UnreadableResult(f"the result does not fit {key}: {first_line(error)}")
        return values

    def _converter(self, key: str) -> Convert | str:
        attribute = getattr(self._record, key, None)
        if not is_column(attribute):
            return f"the result names {key!r}, which is no column of {self._record.__name__}"
        column = column_of(attribute)
        if column in self._reserved:
            return f"the result names {key!r}, which is the id or a flag"
        return column_converter(column, self._dialect)
