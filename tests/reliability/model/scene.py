"""The shop and its nodes at work, one run at a time, and what each run must say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import cast

from sqlalchemy import delete

from tests.reliability.model.forgetful_node import Faults, ForgetfulNode
from tests.reliability.model.promises import Promises
from tests.reliability.model.watched_calls import Killed, Moment, watched_service
from tests.reliability.model.world import LIMITS, NODES, Places
from tests.support.shop import Order
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.moves import Step
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.protocol import Policy
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import LaneBusy, LaneLost, LaneStopped
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.hand_over import hand_over
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.reassign import repush

ROUNDS = 2
"""Rounds in which nothing happens, after which nothing will."""

At = tuple[int, bool, str]
"""In the middle of a run: at which request, whether once it was answered, and what happens."""


class Scene:
    """One example: it writes, works lanes and moves entities, and asserts what is promised of each."""

    def __init__(self, places: Places, *, size: int | None, most: int, policy: Policy) -> None:
        self.places, self.policy = places, policy
        self.nodes: dict[str, ForgetfulNode] = places.begin_again()
        self.promises = Promises(places, self.nodes, most)
        self.service = watched_service(self.promises, size=size, most=most, policy=policy)
        self.written = self.holder = 0
        self.later: list[tuple[list[int], int, list[int]]] = []
        self.dead = False

    def new_ids(self, count: int) -> list[int]:
        """Ids that do not rise with the time of writing."""
        self.written += count
        return [number * 37 % 1009 for number in range(self.written - count + 1, self.written + 1)]

    def write_now(self, owner: int, places: Sequence[int]) -> None:
        if not places:
            return
        ids = self.new_ids(len(places))
        with self.places.engine.begin() as connection:
            self.places.write(connection, ids, owner, places)
        self.promises.late.update(ids)

    def commit(self) -> None:
        ids, owner, places = self.later.pop(0)
        with self.places.engine.begin() as connection:
            self.places.write(connection, ids, owner, places)

    def work(self, name: str, max_batch: int | None = None) -> LaneContext:
        self.holder += 1
        node = self.places.node(self.nodes[name], max_batch)
        return LaneContext(
            self.places.engine, self.service, self.service.protocols[0], node, f"run {self.holder}", LIMITS
        )

    def moving(self, told: Callable[[str], None] = lambda step: None) -> MoveContext:
        known = Inventory({name: self.places.node(node) for name, node in self.nodes.items()})
        return MoveContext(
            self.places.engine,
            Mesh([self.service]),
            self.service,
            lambda: known,
            "a move",
            LIMITS,
            0,
            0,
            on_step=told,
        )

    def take_over(self, name: str) -> None:
        """The run is paused for longer than its lease, another one does its work, and it comes back."""
        self.places.expire()
        paused, self.promises.moment = self.promises.moment, None
        with suppress(LaneStopped, LaneLost):
            push_lane(self.work(name))
        self.promises.moment, self.promises.paused = paused, True
        self.promises.not_written()

    def come_here(self, name: str) -> None:
        """An entity comes to the node that is being pushed to, with records early and late in the order."""
        there = next((owner for owner, home in sorted(self.places.homes().items()) if home != name), None)
        if there is None:
            return
        self.write_now(there, [0, 5])
        source = self.places.homes()[there]
        try:
            hand_over(self.moving(), [Step(there, source, name, 1, "a test")])
        except LaneBusy:
            assert self.dead
        # All of it was there before it came: no excuse for any.
        self.promises.late -= {row.id for row in self.places.rows().values() if row.owner == there}

    def leave(self, name: str) -> None:
        """The run is paused for longer than its lease, an entity leaves the node, and the run comes back."""
        self.places.expire()
        here = next((owner for owner, home in sorted(self.places.homes().items()) if home == name), None)
        if here is not None:
            target = NODES[name == NODES[0]]
            hand_over(self.moving(), [Step(here, name, target, 1, "a test")])
            self.promises.paused = True
            self.promises.not_written()

    def events(self, name: str) -> dict[str, Callable[[], None]]:
        return {
            "the master is killed": self.promises.kill,
            "another run takes over": lambda: self.take_over(name),
            "an entity comes": lambda: self.come_here(name),
            "an entity leaves": lambda: self.leave(name),
            "records are written": lambda: self.write_now(1 + self.written % 3, [self.written % 4, 2]),
            "all is replayed": self.replay_all,
            "the node processes": lambda: self.nodes[name].work(3),
            "a record is deleted": self.delete_pending,
        }

    def delete_pending(self) -> None:
        pending = [row.id for row in self.places.rows().values() if not row.pushed]
        if pending:
            with self.places.engine.begin() as connection:
                connection.execute(delete(Order).where(Order.id == max(pending)))
            self.promises.not_written()

    def push_once(
        self, name: str, bounds: RunLimits, max_batch: int | None = None, at: At | None = None
    ) -> None:
        moment = None if at is None else Moment(at[0], at[1], self.events(name)[at[2]])
        before, homes, aside = self.places.rows(), self.places.homes(), self.places.parked()
        self.promises.run_begins(moment)
        faults = self.nodes[name].faults
        sound = faults == Faults() and at is None and not self.dead
        stopped, report = None, None
        try:
            report = push_lane(self.work(name, max_batch), bounds)
        except Killed:
            self.promises.not_written()
            self.places.bury(name, ["push"])
            self.dead = True
        except LaneBusy:
            assert self.dead
        except LaneLost:
            assert self.promises.paused
            self.promises.not_written()  # what it was told after its pause: it may write nothing any more
        except LaneStopped as error:
            stopped, report = error, cast("PushReport", error.report)
            self.promises.not_written()
        self.promises.tell()
        blocked = self.policy == "block" and "blocks it" in str(stopped)
        assert stopped is None or blocked or not sound, str(stopped)
        flagged = self.promises.run_ends(before, name)
        self.promises.check_state()
        if report is not None:
            self.promises.check_report(report)
        if report is not None and at is None:
            assert report.pushed == len(flagged)
            assert flagged == [id_ for id_ in self.promises.accepted if id_ in set(flagged)]
            if not stopped:
                eligible = [
                    id_ for id_ in self.promises.eligible(before, aside) if homes[before[id_].owner] == name
                ]
                seen = report.selected + report.unread
                # What waits behind a record that was parked in this run may not have been read.
                assert seen == len(eligible) or (report.parked and seen < len(eligible)), (
                    f"{report}: {eligible}"
                )

    def pull_once(self, name: str, at: At | None = None) -> None:
        moment = None if at is None else Moment(at[0], at[1], self.events(name)[at[2]])
        before = self.places.rows()
        self.promises.run_begins(moment)
        faults, stopped = self.nodes[name].faults, None
        try:
            report = pull_lane(self.work(name))
        except Killed:
            self.places.bury(name, ["pull"])
            self.dead = True
            return
        except LaneBusy:
            assert self.dead
            return
        except LaneStopped as error:
            stopped, report = error, cast("PullReport", error.report)
        self.promises.tell()
        assert stopped is None or faults.down or self.names_a_deleted_one(name), str(stopped)
        self.promises.check_report(report)
        self.promises.check_state()
        now = self.places.rows()
        pulled = [row.id for row in now.values() if row.pulled and not before[row.id].pulled]
        assert report.pulled == len(pulled)

    def move(
        self, owner: int, killed: str | None, act: Callable[[MoveContext], object], *, again: bool
    ) -> None:
        source = self.places.homes()[owner]
        self.promises.run_begins(None)

        def told(step: str) -> None:
            if step == killed:
                raise Killed

        try:
            act(self.moving(told))
        except Killed:
            self.places.bury(source, ["push", "pull"])
            self.dead = True
        except LaneBusy:
            assert self.dead
            return
        if again:
            for row in self.places.rows().values():
                if row.owner == owner:
                    self.promises.forget(row.id)
        self.promises.check_state()

    def replay_all(self) -> None:
        self.promises.decided = True
        aside = self.places.parked()
        decide_refused(self.places.engine, self.service, "replay")
        for record in aside:
            if aside[record][1] in {"parked", "blocking"}:
                self.promises.forget(record)

    def expire_leases(self) -> None:
        if self.dead:
            self.places.expire()
            self.dead = False

    def settle(self) -> None:
        """Heal everything, decide about everything, and work until all is quiet."""
        while self.later:
            self.commit()
        for node in self.nodes.values():
            node.faults = Faults()
        self.expire_leases()
        self.replay_all()
        for owner in sorted(self.promises.missing()):
            self.send_again(owner)
        quiet, before = 0, self.places.rows()
        while quiet < ROUNDS:
            for name in NODES:
                self.finish(name)
            rows = self.places.rows()
            quiet, before = (quiet + 1 if rows == before else 0), rows

    def send_again(self, owner: int) -> None:
        self.move(owner, None, lambda moving: repush(moving, owner), again=True)

    def finish(self, name: str) -> None:
        """Push and pull one node's lanes, where there is something to do."""
        mine = [row for row in self.places.rows().values() if self.places.homes()[row.owner] == name]
        if any(not row.pushed for row in mine):
            self.push_once(name, RunLimits())
        self.nodes[name].work(1000)
        if all(row.pulled for row in mine):
            return
        if self.names_a_deleted_one(name):  # the next record puts that right
            self.write_now(mine[0].owner, [9])
            self.push_once(name, RunLimits())
            self.nodes[name].work(1000)
        self.pull_once(name)

    def names_a_deleted_one(self, name: str) -> bool:
        """A node whose latest record was deleted before it was named for the first time: nobody knows that one."""
        done = self.nodes[name].store.done
        return bool(done) and done[-1] not in self.places.rows()

    def one_pending(self, pick: int) -> int | None:
        return one_of([row.id for row in self.places.rows().values() if not row.pushed], pick)


def one_of(found: Collection[int], pick: int) -> int | None:
    listed = sorted(found)
    return listed[pick % len(listed)] if listed else None
