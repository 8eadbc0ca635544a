"""The ready-made push and pull functions, and the interface of the node that every such function receives.

A push or pull function is a plain function of a record (or a list of records) and a node. The two functions
here implement the HTTP contract: ``post`` sends records, ``get`` fetches results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from workmesh_flows.errors import NodeMisconfigured, UnreadableAnswer

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

NO_REASON = "the node gives no reason"
"""The reason that is stored if a node refuses a record without a text."""

BATCH = 500
"""Default number of records in one request."""


class UnreadableResult(str):
    """Why there is no readable result of a record, where the node has not stated itself that it failed."""

    __slots__ = ()


Values: TypeAlias = Mapping[str, Any]
"""Values to write into the columns of a record, by attribute name."""


class NodeClient(Protocol):
    """A node, as a push or pull function receives it."""

    @property
    def name(self) -> str:
        """The node's name in the inventory."""

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Post ``payload`` together with the API key and return the ``value`` of the answer.

        The numbers of the answer are exact: an integer of any size is an int; a number with a fraction is a float, or
        a Decimal where a float would round it. NaN and Infinity are floats, too.

        Raises NodeUnavailable, NodeMisconfigured, RequestCrashed, UnreadableAnswer, BatchTooLarge or RecordRefused.
        """


@dataclass(frozen=True, slots=True)
class Post:
    """Sends records to an endpoint; made by `post`."""

    path: str
    name: str
    batch_size: int | None = None
    payload: Callable[[Any], Mapping[str, Any]] | None = None

    def __call__(self, records: Any, node: NodeClient) -> Mapping[str, str] | None:  # noqa: ANN401 - a record or several
        """Send one record, or a list if ``batch_size`` is set; return ids of refused records with reasons."""
        write = self.payload or (lambda record: record)
        if self.batch_size is None:
            node.post(self.path, {self.name: write(records)})
            return None
        value = node.post(self.path, {self.name: [write(record) for record in records]})
        refused = value.get("refused") if isinstance(value, dict) else None
        if not refused:
            return None
        if not isinstance(refused, dict):  # read as a success, the refused records would count as pushed
            reason = (
                f"{self.path} returns refused records as a {type(refused).__name__}, not as ids with reasons"
            )
            raise NodeMisconfigured(reason, node=node.name)
        return {str(key): str(reason or NO_REASON) for key, reason in refused.items()}


def post(
    path: str,
    name: str | None = None,
    *,
    batch_size: int | None = None,
    payload: Callable[[Any], Mapping[str, Any]] | None = None,
) -> Post:
    """Make a push function that posts records to ``path``, one per request or up to ``batch_size``.

    The request body holds the record under ``name`` (default ``record``), or the list of records (default
    ``records``). A record is sent as a dict of its columns by attribute name, without the flags and the columns
    that results are written into, or as the dict that ``payload(record)`` returns. Where no attribute is called
    ``id``, the dict has the record's id under this name, too.
    """
    default = "record" if batch_size is None else "records"
    return Post(path, default if name is None else name, batch_size, payload)


@dataclass(frozen=True, slots=True)
class Get:
    """Fetches the results of processed records; made by `get`."""

    path: str
    into: Mapping[str, InstrumentedAttribute[Any]]
    batch_size: int = BATCH

    def __call__(self, records: Sequence[Any], node: NodeClient) -> dict[str, Values | str]:
        """Return the results of these records, given by id; a null result is treated as missing."""
        value = node.post(self.path, {"ids": list(records)})
        if value and not isinstance(
            value, dict
        ):  # an empty text or list is an empty object of other languages
            raise UnreadableAnswer(f"{self.path} returns results as a {type(value).__name__}, not by id")
        answers = value or {}
        return {str(key): self._values(result) for key, result in answers.items() if result is not None}

    def _values(self, result: Any) -> Values | str:  # noqa: ANN401 - any JSON
        if isinstance(result, dict):
            return {column.key: result[key] for key, column in self.into.items() if key in result}
        if isinstance(result, str):
            return result or NO_REASON
        return UnreadableResult(f"the result is {str(result)[:80]}, which is neither an object nor a reason")


def get(path: str, into: Mapping[str, InstrumentedAttribute[Any]], *, batch_size: int = BATCH) -> Get:
    """Make a pull function that posts up to ``batch_size`` ids to ``path`` and writes results into columns.

    ``into`` maps a key of a result to a column of the record. A record whose id is missing in the answer is
    not ready and stays pending. A string in place of a result means that processing failed, and is the
    reason.
    """
    return Get(path, dict(into) if isinstance(into, Mapping) else into, batch_size)
