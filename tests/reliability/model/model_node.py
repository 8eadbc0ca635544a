"""A micro-service in memory that knows records by their ids, with the faults of real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from tests.operations.delivery.lane_runs import FAILED, PULL, PUSH, STATUS
from tests.support.scripted_node import Answer, Asked, failure, success


@dataclass
class Store:
    """The contents of a backup: records by id in the order of arrival, the number of processed ones, epochs by lane.

    ``failed`` are those of the processed ones that it could not process; ``keys`` are the requests that had an effect.
    """

    records: dict[int, str] = field(default_factory=dict)
    processed: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    @property
    def done(self) -> list[int]:
        """The ids of processed records, the latest one last."""
        return list(self.records)[: self.processed]


@dataclass
class Faults:
    """The current faults of a node; the sets hold record ids."""

    refuses: set[int] = field(default_factory=set)
    refuses_alone: bool = False
    """Whether the node names the refused records and accepts the others, instead of refusing the whole batch."""
    crashes: set[int] = field(default_factory=set)
    dies: set[int] = field(default_factory=set)
    at_most: int | None = None
    answers_lost: int = 0
    pings_lost: int = 0
    """Pings that fail after the next lost answer, as those of a node that died on it."""
    dying: int = 0
    """Pings that fail from now on."""
    down: bool = False
    fails: set[int] = field(default_factory=set)
    """Records that it accepts and cannot process."""


@dataclass
class ModelNode:
    """A script for a scripted node. A restored backup does not reset ``ever`` and ``ever_done``."""

    name: str
    number: int
    store: Store = field(default_factory=Store)
    faults: Faults = field(default_factory=Faults)
    backup: Store = field(default_factory=Store)
    ever: set[int] = field(default_factory=set)
    ever_done: set[int] = field(default_factory=set)
    effects: list[int] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == PUSH:
            return self._push(asked)
        if asked.path == STATUS:
            done = self.store.done
            return success(done[-1] if done else None)
        if asked.path == PULL:
            done = self.store.done
            return success({str(id_): self.result(id_) for id_ in asked.body["ids"] if id_ in done})
        if asked.path == FAILED:
            return success({"failed": [{"id": id_, "reason": "a bug"} for id_ in sorted(self.store.failed)]})
        if self.faults.dying:
            self.faults.dying -= 1
            return Answer(raw=b"")
        return success()

    def score(self, record: int) -> int:
        """The result of a record, which shows the node that processed it."""
        return 10 * record + self.number

    def result(self, record: int) -> dict[str, int] | str:
        return "a bug" if record in self.store.failed else {"score": self.score(record)}

    def process(self, count: int) -> None:
        """Process ``count`` more records in the order of arrival."""
        before = self.store.processed
        self.store.processed = min(before + count, len(self.store.records))
        new = self.store.done[before:]
        self.store.failed.update(self.faults.fails.intersection(new))
        done = [id_ for id_ in new if id_ not in self.store.failed]
        self.effects += done
        self.ever_done.update(done)

    def back_up(self) -> None:
        self.backup = deepcopy(self.store)

    def restore(self) -> None:
        """Restore the last backup: lose all later records and their effects."""
        self.store = deepcopy(self.backup)
        self.effects = [id_ for id_ in self.store.done if id_ not in self.store.failed]

    def _push(self, asked: Asked) -> Answer:
        lane, epoch = asked.headers["workmesh-lane"], int(asked.headers["workmesh-epoch"])
        highest = self.store.epochs.get(lane, 0)
        if epoch < highest:
            stale = {"status": "stale epoch", "value": {"epoch": highest}}
            return Answer(json.dumps(stale).encode(), 412)
        self.store.epochs[lane] = epoch
        orders = asked.body["orders"] if "orders" in asked.body else [asked.body["order"]]
        ids, key = [order["id"] for order in orders], asked.headers["idempotency-key"]
        answer = self._accept(ids, key, batch="orders" in asked.body)
        if self.faults.answers_lost:
            self.faults.answers_lost -= 1
            self.faults.dying = self.faults.pings_lost
            return Answer(raw=b"")
        return answer

    def _accept(self, ids: Sequence[int], key: str, *, batch: bool) -> Answer:
        faults, store = self.faults, self.store
        again = [] if key in store.keys else [id_ for id_ in ids if id_ in store.failed]
        new = [id_ for id_ in ids if id_ not in store.records or id_ in again]
        if faults.at_most is not None and len(ids) > faults.at_most:
            return Answer(code=413)
        if faults.dies.intersection(ids):
            return Answer(raw=b"")
        if faults.crashes.intersection(ids):
            return Answer(code=500)
        refused = faults.refuses.intersection(new)
        if refused and not (batch and faults.refuses_alone):
            return failure(f"refused: {min(refused)}")
        accepted = [id_ for id_ in new if id_ not in refused]
        for id_ in store.failed.intersection(accepted):  # it gets a new place in the order of arrival
            del store.records[id_]
            store.processed -= 1
        store.failed.difference_update(accepted)
        store.keys.add(key)
        store.records.update(dict.fromkeys(accepted, ""))
        self.ever.update(accepted)
        return success({"refused": {str(id_): "no" for id_ in refused}} if refused else "")
