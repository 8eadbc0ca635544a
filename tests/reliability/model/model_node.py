"""A micro-service in memory that knows records by their ids, with the faults of real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from tests.operations.delivery.lane_runs import PULL, PUSH, STATUS
from tests.support.scripted_node import Answer, Asked, failure, success


@dataclass
class Store:
    """The contents of a backup: records by id in the order of arrival, the number of processed ones, epochs by lane."""

    records: dict[int, str] = field(default_factory=dict)
    processed: int = 0
    epochs: dict[str, int] = field(default_factory=dict)

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
            return success({str(id_): {"score": self.score(id_)} for id_ in asked.body["ids"] if id_ in done})
        if self.faults.dying:
            self.faults.dying -= 1
            return Answer(raw=b"")
        return success()

    def score(self, record: int) -> int:
        """The result of a record, which shows the node that processed it."""
        return 10 * record + self.number

    def process(self, count: int) -> None:
        """Process ``count`` more records in the order of arrival."""
        before = self.store.processed
        self.store.processed = min(before + count, len(self.store.records))
        self.effects += self.store.done[before:]
        self.ever_done.update(self.store.done)

    def back_up(self) -> None:
        self.backup = deepcopy(self.store)

    def restore(self) -> None:
        """Restore the last backup: lose all later records and their effects."""
        self.store = deepcopy(self.backup)
        self.effects = self.store.done

    def _push(self, asked: Asked) -> Answer:
        lane, epoch = asked.headers["workmesh-lane"], int(asked.headers["workmesh-epoch"])
        highest = self.store.epochs.get(lane, 0)
        if epoch < highest:
            stale = {"status": "stale epoch", "value": {"epoch": highest}}
            return Answer(json.dumps(stale).encode(), 412)
        self.store.epochs[lane] = epoch
        orders = asked.body["orders"] if "orders" in asked.body else [asked.body["order"]]
        answer = self._accept([order["id"] for order in orders], batch="orders" in asked.body)
        if self.faults.answers_lost:
            self.faults.answers_lost -= 1
            self.faults.dying = self.faults.pings_lost
            return Answer(raw=b"")
        return answer

    def _accept(self, ids: Sequence[int], *, batch: bool) -> Answer:
        faults, new = self.faults, [id_ for id_ in ids if id_ not in self.store.records]
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
        self.store.records.update(dict.fromkeys(accepted, ""))
        self.ever.update(accepted)
        return success({"refused": {str(id_): "no" for id_ in refused}} if refused else "")
