"""The ready-made calls, and what any push or pull function may rely on.

A push or pull function is a plain function of a record (or a list of records) and a node. The two here cover
the wire contract: ``post`` sends records, ``get`` fetches results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from workmesh_flows.errors import NodeMisconfigured

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

NO_REASON = "the node gives no reason"
"""What is kept where a refusal or a failure has no text."""

BATCH = 500
"""Records a request, where the declaration names no other number."""

Values: TypeAlias = Mapping[str, Any]
"""Column values to write on a record, by attribute name."""


class NodeClient(Protocol):
    """What a push or pull function is handed: one node, ready to be called."""

    @property
    def name(self) -> str:
        """The node's name in the inventory."""

    def post(self, path: str, payload: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON the node says
        """Post ``payload`` beside the api key and return the answer's ``value``.

        Raises NodeUnavailable, NodeMisconfigured, RequestCrashed, BatchTooLarge or RecordRefused.
        """


@dataclass(frozen=True, slots=True)
class Post:
    """Send records to an access point; made by `post`."""

    path: str
    name: str
    batch_size: int | None = None
    payload: Callable[[Any], Mapping[str, Any]] | None = None

    def __call__(self, records: Any, node: NodeClient) -> Mapping[str, str] | None:  # noqa: ANN401 - a record or several
        """Send one record, or several where ``batch_size`` is set; return the refused ids with reasons."""
        write = self.payload or (lambda record: record)
        if self.batch_size is None:
            node.post(self.path, {self.name: write(records)})
            return None
        value = node.post(self.path, {self.name: [write(record) for record in records]})
        refused = value.get("refused") if isinstance(value, dict) else None
        if not refused:
            return None
        if not isinstance(refused, dict):  # to take this for success would lose what was refused
            reason = (
                f"{self.path} names refused records as a {type(refused).__name__}, not as ids with reasons"
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
    """Send records to ``path``: one a request, or ``batch_size`` of them.

    The body holds the record under ``name`` (default ``record``) or the list of them (default ``records``).
    A record is written as its columns by name, without the flags and the columns that results are written into, or as
    what ``payload(record)`` returns.
    """
    default = "record" if batch_size is None else "records"
    return Post(path, default if name is None else name, batch_size, payload)


@dataclass(frozen=True, slots=True)
class Get:
    """Fetch the results of processed records; made by `get`."""

    path: str
    into: Mapping[str, InstrumentedAttribute[Any]]
    batch_size: int = BATCH

    def __call__(self, records: Sequence[Any], node: NodeClient) -> dict[str, Values | str]:
        """Ask for the results of these records, given by id; null in place of one is taken as left out."""
        value = node.post(self.path, {"ids": list(records)})
        answers = value if isinstance(value, dict) else {}
        return {str(key): self._values(result) for key, result in answers.items() if result is not None}

    def _values(self, result: Any) -> Values | str:  # noqa: ANN401 - whatever JSON the node says
        if isinstance(result, dict):
            return {column.key: result[key] for key, column in self.into.items() if key in result}
        return str(result) or NO_REASON


def get(path: str, into: Mapping[str, InstrumentedAttribute[Any]], *, batch_size: int = BATCH) -> Get:
    """Fetch results from ``path``, ``batch_size`` ids a request, and write them into columns.

    ``into`` maps a key of the node's result to a column of the record. An id that the node leaves out is not
    ready and stays pending; a text in place of a result means that processing failed, and is the reason.
    """
    return Get(path, dict(into) if isinstance(into, Mapping) else into, batch_size)
