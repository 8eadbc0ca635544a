"""What may happen to a shop and its two nodes, in any order; what is promised is in `promises.py`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import delete, update

from tests.reliability.model.forgetful_node import Faults
from tests.reliability.model.scene import At, Scene, one_of
from tests.reliability.model.world import NODES, OWNERS, Places
from tests.support.shop import START, Order
from workmesh_flows.domain.protocol import Policy
from workmesh_flows.errors import UnknownName
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.reassign import reassign, repush

nodes = st.sampled_from(NODES)
owners = st.sampled_from(OWNERS)
sorts = st.integers(0, 5)
picks = st.integers(0, 1000)
EVENTS = (
    "the master is killed",
    "the master is killed",
    "another run takes over",
    "an entity comes",
    "an entity comes",
    "an entity leaves",
    "records are written",
    "all is replayed",
    "the node processes",
    "a record is deleted",
)
moments = st.tuples(st.integers(1, 3), st.booleans(), st.sampled_from(EVENTS))
pull_moments = st.tuples(
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from(["the master is killed", "records are written", "the node processes"]),
)

kills = st.none() | st.none() | st.sampled_from(["lanes leased", "settled", "moving", "moved"])


class Shops(RuleBasedStateMachine):
    """The rules; each is one thing that happens."""

    places: ClassVar[Places]
    scene: Scene

    @initialize(
        size=st.sampled_from([None, 1, 2, 3, 5]),
        most=st.integers(1, 3),
        policy=st.sampled_from(["park_entity", "park_entity", "block", "skip_record"]),
        places=st.lists(sorts, min_size=3, max_size=9),
    )
    def declare(self, size: int | None, most: int, policy: Policy, places: list[int]) -> None:
        self.scene = Scene(self.places, size=size, most=most, policy=policy)
        for owner in OWNERS:
            self.scene.write_now(owner, places[owner - 1 :: 3])

    @rule(owner=owners, places=st.lists(sorts, min_size=1, max_size=5))
    def write(self, owner: int, places: list[int]) -> None:
        self.scene.write_now(owner, places)

    @precondition(lambda self: len(self.scene.later) < 3)
    @rule(owner=owners, places=st.lists(sorts, min_size=1, max_size=2))
    def write_and_commit_later(self, owner: int, places: list[int]) -> None:
        self.scene.later.append((self.scene.new_ids(len(places)), owner, places))

    @precondition(lambda self: self.scene.later)
    @rule()
    def commit_now(self) -> None:
        self.scene.commit()

    @rule(pick=picks, sort=st.none() | sorts)
    def delete_or_edit(self, pick: int, sort: int | None) -> None:
        if (record := one_of(self.scene.places.rows(), pick)) is None:
            return
        with self.places.engine.begin() as connection:
            if sort is None:
                connection.execute(delete(Order).where(Order.id == record))
            else:
                at = START + timedelta(seconds=sort)
                connection.execute(
                    update(Order).where(Order.id == record).values({Order.at: at, Order.text: "edited"})
                )

    # -- the nodes

    @rule(pick=picks, how=st.sampled_from(["batch", "alone", "crash", "die"]))
    def refuse(self, pick: int, how: str) -> None:
        """Both nodes do not like a record from now on."""
        if (record := self.scene.one_pending(pick)) is None:
            return
        for node in self.scene.nodes.values():
            faults = node.faults
            faults.refuses_alone = how == "alone"
            {"crash": faults.crashes, "die": faults.dies}.get(how, faults.refuses).add(record)

    @rule(
        name=nodes,
        what=st.sampled_from(["lose an answer", "lose two", "take small requests", "go down", "heal"]),
    )
    def trouble(self, name: str, what: str) -> None:
        faults = self.scene.nodes[name].faults
        match what:
            case "lose an answer":
                faults.answers_lost = 1
            case "lose two":
                faults.answers_lost = 2
            case "take small requests":
                faults.at_most = 1
            case "go down":
                faults.down = True
            case _:
                self.scene.nodes[name].faults = Faults()

    @rule(name=nodes, put_back=st.booleans())
    def back_up(self, name: str, put_back: bool) -> None:
        (self.scene.nodes[name].restore if put_back else self.scene.nodes[name].back_up)()

    @rule(name=nodes, owner=owners, places=st.lists(sorts, max_size=4), late=st.booleans())
    def push(self, name: str, owner: int, places: list[int], late: bool) -> None:
        """Records are written, and some that were on their way are committed; the lane is pushed."""
        self.scene.write_now(owner, places)
        if late and self.scene.later:
            self.scene.commit()
        self.scene.push_once(name, RunLimits())

    @rule(name=nodes, limit=st.none() | st.integers(1, 5), max_batch=st.none() | st.integers(1, 3))
    def push_within_bounds(self, name: str, limit: int | None, max_batch: int | None) -> None:
        self.scene.push_once(name, RunLimits(limit), max_batch)

    @rule(name=nodes, owner=owners, places=st.lists(sorts, max_size=8), at=moments)
    def push_while(self, name: str, owner: int, places: list[int], at: At) -> None:
        """Something happens in the middle of a push, which is not kept from it by a dead run."""
        self.scene.write_now(owner, places)
        self.scene.expire_leases()
        self.scene.push_once(name, RunLimits(), at=at)

    @rule(name=nodes, count=st.integers(0, 8), at=st.none() | pull_moments)
    def pull(self, name: str, count: int, at: At | None) -> None:
        """The node processes so many more records; what is processed is pulled."""
        self.scene.nodes[name].work(count)
        self.scene.pull_once(name, at)

    @rule(owner=owners, again=st.booleans(), killed=kills)
    def reassign(self, owner: int, again: bool, killed: str | None) -> None:
        self.scene.move(owner, killed, lambda moving: reassign(moving, owner, repush=again), again=again)

    @rule(owner=owners, killed=kills)
    def repush(self, owner: int, killed: str | None) -> None:
        self.scene.move(owner, killed, lambda moving: repush(moving, owner), again=True)

    @rule(pick=st.none() | picks, decision=st.sampled_from(["replay", "skip"]), whole=st.booleans())
    def decide(self, pick: int | None, decision: str, whole: bool) -> None:
        if pick is None:
            self.scene.replay_all()
            return
        aside = self.places.parked()
        if (record := one_of(aside, pick)) is None:
            return
        owner = aside[record][0]
        named = {"entities": [str(owner)]} if whole else {"records": [str(record)]}
        self_decision = "replay" if decision == "replay" else "skip"
        try:
            decide_refused(self.places.engine, self.scene.service, self_decision, **named)  # type: ignore[arg-type]
        except UnknownName:
            assert decision == "skip"
        if decision == "replay":
            for other, (whose, _, _) in aside.items():
                if other == record or (whole and whose == owner):
                    self.scene.promises.forget(other)

    @precondition(lambda self: self.scene.dead)
    @rule()
    def leases_run_out(self) -> None:
        self.scene.expire_leases()

    def teardown(self) -> None:
        if hasattr(self, "scene"):
            self.scene.settle()
            self.scene.promises.check_end()
