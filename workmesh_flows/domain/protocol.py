"""A protocol: one record table's way to a node and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from workmesh_flows.domain.calls import BATCH, Get, NodeClient, Post, Values
from workmesh_flows.domain.columns import ColumnRef
from workmesh_flows.domain.owner_path import Hop, OwnerPath

"""Refusals after which a record is set aside, where the declaration names no other number."""

Policy: TypeAlias = Literal["park_entity", "block", "skip_record"]
"""What follows when a record was refused ``max_attempts`` times, until a person decides:

``park_entity``: it and what follows it of the same owner wait, other owners go on; ``block``: the whole lane waits;
``skip_record``: it alone is left out, what follows it of the same owner goes on.
"""

PushFunction: TypeAlias = Post | Callable[[Any, NodeClient], Mapping[Any, str] | None]
PullFunction: TypeAlias = Get | Callable[[Any, NodeClient], Values | Mapping[Any, Values | str | None] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """The three columns that push (or pull) writes on a record; all of them nullable.

    ``time`` is when, ``success`` is true, false (refused) or null (never tried), ``error`` is the reason.
    """

    time: ColumnRef
    success: ColumnRef
    error: ColumnRef

    @property
    def columns(self) -> tuple[ColumnRef, ColumnRef, ColumnRef]:
        """The three, in order."""
        return self.time, self.success, self.error


@dataclass(frozen=True, slots=True, eq=False)
class Push:
    """How records go to a node.

    ``send(record, node)`` sends one record, or ``send(records, node)`` a list where ``batch_size`` is set, as
    `post` does. It raises RecordRefused("why") for a bad record; the form for a list may instead return
    ``{id: reason}`` for the refused ones, when the node took the others. A record is the mapped object; what
    the function changes on it is not saved.

    A refused record is tried again once a run, what follows it of the same owner waits. After ``max_attempts``
    refusals (None: as the settings say) the ``policy`` says what becomes of it: see `Policy`.
    """

    send: PushFunction
    flags: Flags
    batch_size: int | None = None
    max_attempts: int | None = None
    policy: Policy = "park_entity"

    @property
    def size(self) -> int | None:
        """Records a request, None where the function takes one record."""
        return self.send.batch_size if isinstance(self.send, Post) else self.batch_size

    @property
    def wants_rows(self) -> bool:
        """Whether plain columns do, so that no mapped object has to be built."""
        return isinstance(self.send, Post) and self.send.payload is None


@dataclass(frozen=True, slots=True, eq=False)
class Pull:
    """How results come back.

    ``status`` is the access point that names the latest record processed. ``fetch(record, node)`` returns the
    column values to write, by attribute name, or None where there is nothing to write. With ``batch_size`` it is
    ``fetch(records, node)`` and returns ``{id: values}``: an id left out is not ready, a text is why it failed.
    """

    status: str
    fetch: PullFunction
    flags: Flags
    batch_size: int | None = None

    @property
    def size(self) -> int | None:
        """Records a request, None where the function takes one record."""
        return self.fetch.batch_size if isinstance(self.fetch, Get) else self.batch_size

    @property
    def page(self) -> int:
        """Records whose results are written in one transaction."""
        return self.size or BATCH


@dataclass(frozen=True, slots=True, eq=False)
class Follows:
    """The record that each record of a protocol waits for: found by ``hop``, sent by ``protocol``."""

    hop: Hop
    protocol: Protocol


class Protocol:
    """One record table's way to a node and back.

    ``owner`` is the way from a record to its entity: a relationship or foreign key column, or a list of them;
    left out where foreign keys give exactly one. Records of an owner are sent in the order of (sort, id).
    ``after`` is a relationship or foreign key column to a record of this service: each record is sent only once the
    one it points to was pushed; one that points to nothing waits for nothing. The service that holds a protocol
    checks it.
    """

    def __init__(  # noqa: PLR0913 - a declaration: each is one fact, most are given by name
        self,
        name: str,
        *,
        record: type[Any],
        id: ColumnRef,  # noqa: A002 - the word of the design, and what users call it
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
        """The flags of its directions."""
        return tuple(way.flags for way in (self.push, self.pull) if way is not None)

    def __repr__(self) -> str:
        """Name and record class."""
        return f"Protocol({self.name!r}, record={getattr(self.record, '__name__', self.record)})"
