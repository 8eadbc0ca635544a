"""The push and pull calls of the master, watched on the master's side, where it can also be killed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.operations.delivery.lane_runs import PULL, PUSH, STATUS
from tests.support.shop import PULL_FLAGS, PUSH_FLAGS, Order, shop_service
from workmesh_flows import Pull, Push, Service
from workmesh_flows.domain.calls import Get, NodeClient, Post, Values
from workmesh_flows.domain.protocol import Policy
from workmesh_flows.errors import BatchTooLarge, RecordRefused, RequestCrashed


class Killed(BaseException):
    """Raised in place of a kill of the master's process."""


class Watcher(Protocol):
    """Called before each request and after its answer."""

    def push_starts(self, node: str, ids: Sequence[int]) -> None: ...

    def push_ends(self, node: str, ids: Sequence[int], refused: Sequence[int] | None) -> None: ...

    def pull_starts(self) -> None: ...

    def pull_ends(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WatchedPost(Post):
    """The ready-made call; ``watcher`` is called at each one."""

    watcher: Watcher | None = None

    def __call__(self, records: Any, node: NodeClient) -> Mapping[str, str] | None:
        assert self.watcher is not None
        ids = [one["id"] for one in (records if self.batch_size else [records])]
        self.watcher.push_starts(node.name, ids)
        try:
            refused = Post.__call__(self, records, node)
        except (RecordRefused, RequestCrashed, BatchTooLarge):
            self.watcher.push_ends(node.name, ids, ids)
            raise
        self.watcher.push_ends(node.name, ids, [int(id_) for id_ in refused or ()])
        return refused


@dataclass(frozen=True, slots=True)
class WatchedGet(Get):
    """The ready-made call; ``watcher`` is called at each one."""

    watcher: Watcher | None = None

    def __call__(self, records: Sequence[Any], node: NodeClient) -> dict[str, Values | str]:
        assert self.watcher is not None
        self.watcher.pull_starts()
        found = Get.__call__(self, records, node)
        self.watcher.pull_ends()
        return found


def watched_service(watcher: Watcher, *, size: int | None, most: int, policy: Policy) -> Service:
    """The service over orders, in batches of ``size``, or one order a request for None."""
    send = WatchedPost(PUSH, "order" if size is None else "orders", size, watcher=watcher)
    fetch = WatchedGet(PULL, {"score": Order.score}, 3, watcher=watcher)
    return shop_service(
        push=Push(send, flags=PUSH_FLAGS, max_attempts=most, policy=policy),
        pull=Pull(STATUS, fetch, flags=PULL_FLAGS),
    )


EventAction = Callable[[], None]
"""An event during a run; it may raise Killed."""


@dataclass
class Moment:
    """An event at the n-th request of a run, before it is sent or after its answer; it happens once."""

    number: int
    after: bool
    action: EventAction
    requests: int = 0
    happened: bool = False

    def reached(self, *, after: bool) -> bool:
        """Called at each request; returns whether the event happens now."""
        self.requests += not after
        if self.happened or self.requests < self.number or after != self.after:
            return False
        self.happened = True
        return True
