"""Random histories of a correct master, correct nodes and a bad network, which break no guarantee."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.testing.history.event_makers import accepted, moved, pending, ping, record, report, sent, state
from workmesh_flows.testing import ArrivalsRead, Event, RecordExists, RequestOutcome

BATCH = 3


@dataclass
class Row:
    """A record in the master's database."""

    exists: RecordExists
    push_time: float | None = None


@dataclass
class World:
    """One protocol, owners 1 to 3, nodes n1 and n2."""

    chance: Random
    now: float = 0.0
    number: int = 0
    events: list[Event] = field(default_factory=list)
    rows: dict[int, Row] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    logs: dict[str, list[int]] = field(default_factory=dict)

    def tick(self) -> float:
        self.now += 1.0
        return self.now

    def write(self, count: int, *, late: bool) -> None:
        """Write records of any owner, at any place in the order."""
        for _ in range(count):
            key = len(self.rows) + 1
            owner, sort = self.chance.randint(1, 3), self.chance.randint(0, 20)
            exists = record(key, owner=owner, sort=sort, written=self.tick() if late else None)
            self.rows[key] = Row(exists)
            self.events.append(exists)

    def owner(self, key: int) -> int:
        return int(self.rows[key].exists.owner or 0)

    def pending(self, node: str) -> list[int]:
        """The pending records of a node, in order."""
        keys = [
            key
            for key, row in self.rows.items()
            if row.push_time is None and self.places[self.owner(key)] == node
        ]
        return sorted(keys, key=lambda key: (self.rows[key].exists.sort, key))

    def push(self, node: str, *, safe: bool) -> None:
        """One run: push the pending records batch by batch, until a request fails."""
        epoch = self.epochs[node] = self.epochs.get(node, 0) + 1
        self.number += 1
        if node == "n1":
            self.events.append(ping(self.number, self.tick(), epoch=epoch))
        selected, pushed, refused = self.pending(node), 0, set[int]()
        for at in range(0, len(selected), BATCH):
            batch = [key for key in selected[at : at + BATCH] if self.owner(key) not in refused]
            outcome = (
                RequestOutcome.ACCEPTED
                if safe
                else self.chance.choice([*[RequestOutcome.ACCEPTED] * 6, *RequestOutcome])
            )
            if not batch:
                continue
            rejected = [] if safe or self.chance.random() < 0.8 else batch[-1:]
            self.number += 1
            start, end = self.tick(), self.tick()
            if outcome in {RequestOutcome.ACCEPTED, RequestOutcome.LOST}:
                self.accept(node, [key for key in batch if key not in rejected], end, epoch)
            named = rejected if outcome is RequestOutcome.ACCEPTED else []
            extra = {"node": node, "epoch": epoch, "outcome": outcome, "refused": tuple(named)}
            self.events.append(sent(self.number, batch, start, end, **extra))
            if outcome is not RequestOutcome.ACCEPTED:
                break
            for key in batch:
                if key not in rejected:
                    self.rows[key].push_time = self.tick()
                    pushed += 1
            refused |= {self.owner(key) for key in rejected}
            if not safe and self.chance.random() < 0.3:
                self.write(1, late=True)
        counts = {"selected": len(selected), "pushed": pushed, "waiting": len(selected) - pushed}
        self.events.append(report(**counts))

    def accept(self, node: str, keys: list[int], time: float, epoch: int) -> None:
        """A record that the node has already has no effect."""
        log = self.logs.setdefault(node, [])
        for key in keys:
            if key not in log:
                log.append(key)
                self.events.append(accepted(key, len(log), time=time, node=node, epoch=epoch))

    def move(self) -> None:
        """Move an owner, or send its data again; all its records become pending."""
        owner, target = self.chance.randint(1, 3), self.chance.choice(["n1", "n2"])
        self.events.append(moved(self.tick(), owner=owner, source=self.places[owner], target=target))
        self.places[owner] = target
        for key, row in self.rows.items():
            if self.owner(key) == owner:
                row.push_time = None

    def finish(self) -> None:
        """Push the rest, and record the state of every record."""
        for node in ("n1", "n2"):
            self.push(node, safe=True)
            self.events.append(ArrivalsRead(service="leads", node=node, records=len(self.logs.get(node, []))))
        order = sorted(self.rows, key=lambda key: (self.rows[key].exists.sort, key))
        for place, key in enumerate(order):
            where: dict[str, Any] = {
                "owner": self.owner(key),
                "node": self.places[self.owner(key)],
                "place": place,
            }
            time = self.rows[key].push_time
            self.events.append(pending(key, **where) if time is None else state(key, push_time=time, **where))


def legal_history(chance: Random) -> list[Event]:
    """A settled history of a few dozen records."""
    world = World(chance, places={1: "n1", 2: "n1", 3: "n2"})
    world.write(chance.randint(6, 20), late=False)
    for _ in range(chance.randint(1, 6)):
        world.push(chance.choice(["n1", "n1", "n2"]), safe=False)
        if chance.random() < 0.3:
            world.move()
        if chance.random() < 0.3:
            world.write(2, late=True)
    world.finish()
    return world.events
