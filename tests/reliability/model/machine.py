"""The events of a shop and its two nodes, as rules in any order; `guarantees.py` checks the guarantees."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import delete, update

from tests.reliability.model.environment import NODES, OWNERS, Environment
from tests.reliability.model.model_node import Faults
from tests.reliability.model.scene import EventAt, Scene, one_of
from tests.support.shop import START, Order
from workmesh_flows.domain.protocol import Policy
from workmesh_flows.errors import UnknownName
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.reassign import reassign, repush

nodes = st.sampled_from(NODES)
owners = st.sampled_from(OWNERS)
sort_values = st.integers(0, 5)
picks = st.integers(0, 1000)
EVENTS = (
    "the master is killed",
    "the master is killed",
    "another run takes over",
    "an entity is moved here",
    "an entity is moved here",
    "an entity is moved away",
    "records are written",
    "all parked records are replayed",
    "failed records are replayed",
    "the node processes records",
    "a record is deleted",
)
moments = st.tuples(st.integers(1, 3), st.booleans(), st.sampled_from(EVENTS))
pull_moments = st.tuples(
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from(["the master is killed", "records are written", "the node processes records"]),
)

kills = st.none() | st.none() | st.sampled_from(["lanes leased", "settled", "moving", "moved"])


class Shops(RuleBasedStateMachine):
    """The rules: each is one event."""

    environment: ClassVar[Environment]
    scene: Scene

    @initialize(
        size=st.sampled_from([None, 1, 2, 3, 5]),
        most=st.integers(1, 3),
        policy=st.sampled_from(["park_entity", "park_entity", "block", "skip_record"]),
        sorts=st.lists(sort_values, min_size=3, max_size=9),
    )
    def declare(self, size: int | None, most: int, policy: Policy, sorts: list[int]) -> None:
        self.scene = Scene(self.environment, size=size, most=most, policy=policy)
        for owner in OWNERS:
            self.scene.write_now(owner, sorts[owner - 1 :: 3])

    @rule(owner=owners, sorts=st.lists(sort_values, min_size=1, max_size=5))
    def write(self, owner: int, sorts: list[int]) -> None:
        self.scene.write_now(owner, sorts)

    @precondition(lambda self: len(self.scene.later) < 3)
    @rule(owner=owners, sorts=st.lists(sort_values, min_size=1, max_size=2))
    def write_and_commit_later(self, owner: int, sorts: list[int]) -> None:
        self.scene.later.append((self.scene.new_ids(len(sorts)), owner, sorts))

    @precondition(lambda self: self.scene.later)
    @rule()
    def commit_now(self) -> None:
        self.scene.commit()

    @rule(pick=picks, sort=st.none() | sort_values)
    def delete_or_edit(self, pick: int, sort: int | None) -> None:
        rows = self.scene.environment.rows()
        if (record := one_of(rows, pick)) is None:
            return
        with self.environment.engine.begin() as connection:
            if sort is None:
                connection.execute(delete(Order).where(Order.id == record))
                self.scene.guarantees.deleted += rows[record].pushed and rows[record].pulled
            else:
                at = START + timedelta(seconds=sort)
                connection.execute(
                    update(Order).where(Order.id == record).values({Order.at: at, Order.text: "edited"})
                )

    # -- the nodes

    @rule(pick=picks, how=st.sampled_from(["batch", "alone", "crash", "die"]))
    def refuse(self, pick: int, how: str) -> None:
        """From now on both nodes refuse a record, crash or die on it."""
        if (record := self.scene.one_pending(pick)) is None:
            return
        for node in self.scene.nodes.values():
            faults = node.faults
            faults.refuses_alone = how == "alone"
            {"crash": faults.crashes, "die": faults.dies}.get(how, faults.refuses).add(record)

    @rule(pick=picks)
    def fail(self, pick: int) -> None:
        """From now on both nodes accept a record and cannot process it."""
        if (record := one_of(self.environment.rows(), pick)) is not None:
            for node in self.scene.nodes.values():
                node.faults.fails.add(record)

    @rule(fixed=st.booleans())
    def replay_failed(self, fixed: bool) -> None:
        """The bug is fixed, or not, and the failed records are sent again."""
        if fixed:
            for node in self.scene.nodes.values():
                node.faults.fails.clear()
        self.scene.replay_failed()

    @rule(
        name=nodes,
        fault=st.sampled_from(
            ["lose an answer", "lose two", "die once", "accept small requests", "go down", "recover"]
        ),
    )
    def change_faults(self, name: str, fault: str) -> None:
        faults = self.scene.nodes[name].faults
        match fault:
            case "lose an answer":
                faults.answers_lost = 1
            case "lose two":
                faults.answers_lost = 2
            case "die once":
                faults.answers_lost, faults.pings_lost = 2, 1
            case "accept small requests":
                faults.at_most = 1
            case "go down":
                faults.down = True
            case _:
                self.scene.nodes[name].faults = Faults()

    @rule(name=nodes, restore=st.booleans())
    def back_up(self, name: str, restore: bool) -> None:
        (self.scene.nodes[name].restore if restore else self.scene.nodes[name].back_up)()

    @rule(name=nodes, owner=owners, sorts=st.lists(sort_values, max_size=4), late=st.booleans())
    def push(self, name: str, owner: int, sorts: list[int], late: bool) -> None:
        """Records are written, a late transaction may commit, and the lane is pushed."""
        self.scene.write_now(owner, sorts)
        if late and self.scene.later:
            self.scene.commit()
        self.scene.push_once(name, RunLimits())

    @rule(name=nodes, limit=st.none() | st.integers(1, 5), max_batch=st.none() | st.integers(1, 3))
    def push_with_limits(self, name: str, limit: int | None, max_batch: int | None) -> None:
        self.scene.push_once(name, RunLimits(limit), max_batch)

    @rule(name=nodes, owner=owners, sorts=st.lists(sort_values, max_size=8), at=moments)
    def push_during_event(self, name: str, owner: int, sorts: list[int], at: EventAt) -> None:
        """An event happens during a push; no lease of a killed run prevents the push."""
        self.scene.write_now(owner, sorts)
        self.scene.expire_leases()
        self.scene.push_once(name, RunLimits(), at=at)

    @rule(name=nodes, count=st.integers(0, 8), at=st.none() | pull_moments)
    def pull(self, name: str, count: int, at: EventAt | None) -> None:
        """The node processes ``count`` more records, and the results are pulled."""
        self.scene.nodes[name].process(count)
        self.scene.pull_once(name, at)

    @rule(owner=owners, again=st.booleans(), killed=kills)
    def reassign(self, owner: int, again: bool, killed: str | None) -> None:
        self.scene.move(owner, killed, lambda context: reassign(context, owner, repush=again), again=again)

    @rule(owner=owners, killed=kills)
    def repush(self, owner: int, killed: str | None) -> None:
        self.scene.move(owner, killed, lambda context: repush(context, owner), again=True)

    @rule(pick=st.none() | picks, decision=st.sampled_from(["replay", "skip"]), whole=st.booleans())
    def decide(self, pick: int | None, decision: str, whole: bool) -> None:
        if pick is None:
            self.scene.replay_all()
            return
        refused_records = self.environment.refused()
        if (record := one_of(refused_records, pick)) is None:
            return
        owner = refused_records[record][0]
        named = {"entities": [str(owner)]} if whole else {"records": [str(record)]}
        try:
            decide_refused(self.environment.engine, self.scene.service, decision, **named)  # type: ignore[arg-type]
        except UnknownName:
            assert decision == "skip"
        if decision == "replay":
            for other, (whose, _, _) in refused_records.items():
                if other == record or (whole and whose == owner):
                    self.scene.guarantees.reset(other)

    @rule(owner=owners, other=owners)
    def merge(self, owner: int, other: int) -> None:
        """The application gives the records of an owner that are in flight to another one."""
        with self.environment.engine.begin() as connection:
            in_flight = Order.push_success.is_(True), Order.pull_success.is_(None)
            connection.execute(
                update(Order).where(Order.shop_id == owner, *in_flight).values({Order.shop_id: other})
            )

    @rule()
    def count_exactly(self) -> None:
        """An exact count corrects the sum by the processed records that were deleted."""
        self.scene.count_exactly()

    @invariant()
    def counts_are_exact(self) -> None:
        self.scene.guarantees.check_counts()

    @precondition(lambda self: self.scene.killed)
    @rule()
    def expire_leases(self) -> None:
        self.scene.expire_leases()

    def teardown(self) -> None:
        if hasattr(self, "scene"):
            self.scene.settle()
            self.scene.guarantees.check_end()
