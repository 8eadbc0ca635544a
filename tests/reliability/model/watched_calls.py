"""What the master sends and fetches, watched from the master's own side; there it can be killed, too."""

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
    """The master's process ends here."""


class Watch(Protocol):
    """Told of each request before it goes out, and once its answer is there."""

    def push_begins(self, node: str, ids: Sequence[int]) -> None: ...

    def push_ends(self, node: str, ids: Sequence[int], refused: Sequence[int] | None) -> None: ...

    def pull_begins(self) -> None: ...

    def pull_ends(self) -> None: ...


@dataclass(frozen=True, slots=True)
class WatchedPost(Post):
    """The ready-made call; ``watch`` hears of each one."""

    watch: Watch | None = None

    def __call__(self, records: Any, node: NodeClient) -> Mapping[str, str] | None:
        assert self.watch is not None
        ids = [one["id"] for one in (records if self.batch_size else [records])]
        self.watch.push_begins(node.name, ids)
        try:
            refused = Post.__call__(self, records, node)
        except (RecordRefused, RequestCrashed, BatchTooLarge):
            self.watch.push_ends(node.name, ids, ids)
            raise
        self.watch.push_ends(node.name, ids, [int(id_) for id_ in refused or ()])
        return refused


@dataclass(frozen=True, slots=True)
class WatchedGet(Get):
    """The ready-made call; ``watch`` hears of each one."""

    watch: Watch | None = None

    def __call__(self, records: Sequence[Any], node: NodeClient) -> dict[str, Values | str]:
        assert self.watch is not None
        self.watch.pull_begins()
        found = Get.__call__(self, records, node)
        self.watch.pull_ends()
        return found


def watched_service(watch: Watch, *, size: int | None, most: int, policy: Policy) -> Service:
    """The service over orders, in batches of ``size`` or one a request."""
    send = WatchedPost(PUSH, "order" if size is None else "orders", size, watch=watch)
    fetch = WatchedGet(PULL, {"score": Order.score}, 3, watch=watch)
    return shop_service(
        push=Push(send, flags=PUSH_FLAGS, max_attempts=most, policy=policy),
        pull=Pull(STATUS, fetch, flags=PULL_FLAGS),
    )


Meanwhile = Callable[[], None]
"""What happens while a run is in the middle of its work; it may raise Killed."""


@dataclass
class Moment:
    """At the n-th request of a run, before it goes out or once it was answered: something happens, once."""

    number: int
    after: bool
    what: Meanwhile
    passed: int = 0
    over: bool = False

    def reached(self, *, after: bool) -> bool:
        """Told at each request; whether this is the one."""
        self.passed += not after
        if self.over or self.passed < self.number or after != self.after:
            return False
        self.over = True
        return True
