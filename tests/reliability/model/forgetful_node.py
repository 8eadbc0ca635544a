"""A micro-service in memory that knows records by their ids, with all that can go wrong with one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from tests.operations.delivery.lane_runs import PULL, PUSH, STATUS
from tests.support.scripted_node import Answer, Asked, failure, success


@dataclass
class Store:
    """What a backup holds: records by id in the order they came, how many of them are processed, epochs by lane."""

    records: dict[int, str] = field(default_factory=dict)
    processed: int = 0
    epochs: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> list[int]:
        """Ids of what is processed, the latest one last."""
        return list(self.records)[: self.processed]


@dataclass
class Faults:
    """What is wrong with a node now; sets are of record ids."""

    refuses: set[int] = field(default_factory=set)
    refuses_alone: bool = False
    """It names the culprits and takes the others, where it else refuses the batch as a whole."""
    crashes: set[int] = field(default_factory=set)
    dies: set[int] = field(default_factory=set)
    at_most: int | None = None
    answers_lost: int = 0
    down: bool = False


@dataclass
class ForgetfulNode:
    """A script for a scripted node. ``ever`` and ``ever_done`` outlive a backup that is put back."""

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
        return success()

    def score(self, record: int) -> int:
        """The result of a record, which tells where it was processed."""
        return 10 * record + self.number

    def work(self, count: int) -> None:
        """Process so many more records, in the order they came."""
        before = self.store.processed
        self.store.processed = min(before + count, len(self.store.records))
        self.effects += self.store.done[before:]
        self.ever_done.update(self.store.done)

    def back_up(self) -> None:
        self.backup = deepcopy(self.store)

    def restore(self) -> None:
        """Lose all since the last backup, and with it the effects."""
        self.store = deepcopy(self.backup)
        self.effects = self.store.done

    def _push(self, asked: Asked) -> Answer:
        lane, epoch = asked.headers["workmesh-lane"], int(asked.headers["workmesh-epoch"])
        highest = self.store.epochs.get(lane, 0)
        if epoch < highest:
            stale = {"status": "a stale epoch", "value": {"epoch": highest}}
            return Answer(json.dumps(stale).encode(), 412)
        self.store.epochs[lane] = epoch
        orders = asked.body["orders"] if "orders" in asked.body else [asked.body["order"]]
        answer = self._take([order["id"] for order in orders], batch="orders" in asked.body)
        if self.faults.answers_lost:
            self.faults.answers_lost -= 1
            return Answer(raw=b"")
        return answer

    def _take(self, ids: Sequence[int], *, batch: bool) -> Answer:
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
        taken = [id_ for id_ in new if id_ not in refused]
        self.store.records.update(dict.fromkeys(taken, ""))
        self.ever.update(taken)
        return success({"refused": {str(id_): "no" for id_ in refused}} if refused else "")
