"""A protocol: how the records of one table are pushed to nodes and their results pulled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from workmesh_flows.domain.calls import BATCH, Get, NodeClient, Post, Values
from workmesh_flows.domain.columns import ColumnRef
from workmesh_flows.domain.owner_path import Hop, OwnerPath

Policy: TypeAlias = Literal["park_entity", "block", "skip_record"]
"""What happens after a record was refused ``max_attempts`` times, until somebody decides about the record.

``park_entity``: the record is parked and later records of its entity wait behind it; other entities continue.
``block``: the record blocks the whole lane. ``skip_record``: only this record is skipped; all others
continue.
"""

PUSH_PATH, FAILED_PATH = "push.json", "failed.json"
"""The last parts of two endpoints of a protocol, by convention."""

PushFunction: TypeAlias = Post | Callable[[Any, NodeClient], Mapping[Any, str] | None]
PullFunction: TypeAlias = Get | Callable[[Any, NodeClient], Values | Mapping[Any, Values | str | None] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """The three columns of a record that a push (or pull) writes; all of them nullable.

    ``time`` is the time of the push, ``success`` is true, false (refused) or null (pending), ``error`` is the
    reason of a refusal.
    """

    time: ColumnRef
    success: ColumnRef
    error: ColumnRef

    @property
    def columns(self) -> tuple[ColumnRef, ColumnRef, ColumnRef]:
        """The three columns, in the order time, success, error."""
        return self.time, self.success, self.error


@dataclass(frozen=True, slots=True, eq=False)
class Push:
    """How records are sent to a node.

    ``send(record, node)`` sends one record; with ``batch_size``, ``send(records, node)`` sends a list. `post`
    makes such a function. It raises RecordRefused("why") for a bad record. With a list, it may instead return
    ``{id: reason}`` for the refused records, if the node accepted all others. A record is the mapped object;
    changes that the function makes to it are not saved.

    A refused record is sent again by the next push, and later records of its entity wait behind it. After
    ``max_attempts`` refusals (None: the number in the settings) the ``policy`` applies: see `Policy`.

    ``failed`` is the endpoint that lists the records which a node accepted and could not process. If it is omitted, it
    is the path of `post` with ``failed.json`` in place of ``push.json``; a node without this endpoint works, too. With
    ``""``, nodes are not asked.
    """

    send: PushFunction
    flags: Flags
    batch_size: int | None = None
    max_attempts: int | None = None
    policy: Policy = "park_entity"
    failed: str | None = None

    @property
    def failed_path(self) -> str | None:
        """The endpoint that lists failed records; None where nodes are not asked for them."""
        if self.failed is not None:
            return self.failed or None
        path = self.send.path if isinstance(self.send, Post) else ""
        return path.removesuffix(PUSH_PATH) + FAILED_PATH if path.endswith(PUSH_PATH) else None

    @property
    def size(self) -> int | None:
        """Records in one request; None if the function takes one record."""
        return self.send.batch_size if isinstance(self.send, Post) else self.batch_size

    @property
    def wants_rows(self) -> bool:
        """Whether rows of plain columns are enough, so that no mapped objects are built."""
        return isinstance(self.send, Post) and self.send.payload is None


@dataclass(frozen=True, slots=True, eq=False)
class Pull:
    """How results are fetched from a node.

    ``status`` is the endpoint that returns the latest record processed. ``fetch(record, node)`` returns the
    values to write, by attribute name, or None to write nothing. With ``batch_size``, ``fetch(records,
    node)`` returns ``{id: values}``: a record whose id is missing is not ready, a string in place of values
    is why processing failed.
    """

    status: str
    fetch: PullFunction
    flags: Flags
    batch_size: int | None = None

    @property
    def size(self) -> int | None:
        """Records in one request; None if the function takes one record."""
        return self.fetch.batch_size if isinstance(self.fetch, Get) else self.batch_size

    @property
    def page(self) -> int:
        """Number of records whose results are written in one transaction."""
        return self.size or BATCH


@dataclass(frozen=True, slots=True, eq=False)
class Follows:
    """The record that each record of a protocol depends on: joined by ``hop``, pushed by ``protocol``."""

    hop: Hop
    protocol: Protocol


class Protocol:
    """How the records of one table are pushed to nodes and their results pulled.

    ``owner`` is the path from a record to its entity: a relationship or foreign key column, or a list of
    them. It may be omitted if there is exactly one path along foreign keys. Records of an entity are sent in
    the order of (sort, id). ``after`` is a relationship or foreign key column to a record of this service: a
    record is sent only after the record it refers to was pushed; if it refers to none, it depends on nothing.
    The service that contains a protocol checks its declaration.
    """

    def __init__(  # noqa: PLR0913 - a declaration: each argument is one fact, given by name
        self,
        name: str,
        *,
        record: type[Any],
        id: ColumnRef,  # noqa: A002 - the name that users know for this column
        sort: ColumnRef,
        owner: object | Sequence[object] | None = None,
        after: object | None = None,
        push: Push | None = None,
        pull: Pull | None = None,
    ) -> None:
        self.name = name
        self.record = record
        self.id = id
        self.sort = sort
        self.owner = owner
        self.after = after
        self.push = push
        self.pull = pull
        self.path: OwnerPath = ()
        self.follows: Follows | None = None

    @property
    def flags(self) -> tuple[Flags, ...]:
        """The flags of its push and its pull, as far as declared."""
        return tuple(direction.flags for direction in (self.push, self.pull) if direction is not None)

    @property
    def is_asked(self) -> bool:
        """Whether pulls ask nodes about its records: for results, or for failures only."""
        return self.pull is not None or (self.push is not None and self.push.failed_path is not None)

    def __repr__(self) -> str:
        """Name and record class."""
        return f"Protocol({self.name!r}, record={getattr(self.record, '__name__', self.record)})"
