"""The shop and its nodes: one run at a time, with checks on each run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import cast

from tests.reliability.model.environment import LIMITS, NODES, OWNERS, Environment
from tests.reliability.model.events import during_run
from tests.reliability.model.guarantees import Guarantees
from tests.reliability.model.model_node import Faults, ModelNode
from tests.reliability.model.watched_calls import Killed, Moment, watched_service
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.engine import utc_now
from workmesh_flows.adapters.store.missing_records import missing_records
from workmesh_flows.adapters.store.processed_counts import count_exactly
from workmesh_flows.adapters.store.protocol_tables import pull_tables
from workmesh_flows.domain.node import Inventory
from workmesh_flows.domain.protocol import Policy
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.errors import LaneBusy, LaneLost, LaneStopped
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.limits import RunLimits
from workmesh_flows.operations.delivery.pull import pull_lane
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.delivery.replay import decide_refused
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.reassign import repush

QUIET_CYCLES = 3
"""Number of cycles without a change after which no change is expected."""

EventAt = tuple[int, bool, str]
"""An event during a run: the number of the request, whether after its answer, and the name of the event."""


class Scene:
    """One example: it writes records, runs lanes and moves entities, and checks the guarantees of each."""

    def __init__(self, environment: Environment, *, size: int | None, most: int, policy: Policy) -> None:
        self.environment, self.policy = environment, policy
        self.nodes: dict[str, ModelNode] = environment.reset()
        self.guarantees = Guarantees(environment, self.nodes, most)
        self.service = watched_service(self.guarantees, size=size, most=most, policy=policy)
        self.written = self.holder = 0
        self.later: list[tuple[list[int], int, list[int]]] = []
        self.killed = False

    def new_ids(self, count: int) -> list[int]:
        """Ids that do not rise in the order of writing."""
        self.written += count
        return [number * 37 % 1009 for number in range(self.written - count + 1, self.written + 1)]

    def write_now(self, owner: int, sorts: Sequence[int]) -> None:
        if not sorts:
            return
        ids = self.new_ids(len(sorts))
        with self.environment.engine.begin() as connection:
            self.environment.write(connection, ids, owner, sorts)
        self.guarantees.late.update(ids)

    def commit(self) -> None:
        ids, owner, sorts = self.later.pop(0)
        with self.environment.engine.begin() as connection:
            self.environment.write(connection, ids, owner, sorts)

    def lane_context(self, name: str, max_batch: int | None = None) -> LaneContext:
        self.holder += 1
        node = self.environment.node(self.nodes[name], max_batch)
        return LaneContext(
            self.environment.engine,
            self.service,
            self.service.protocols[0],
            node,
            f"run {self.holder}",
            LIMITS,
        )

    def move_context(self, on_step: Callable[[str], None] = lambda step: None) -> MoveContext:
        inventory = Inventory({name: self.environment.node(node) for name, node in self.nodes.items()})
        return MoveContext(
            self.environment.engine,
            Mesh([self.service]),
            self.service,
            lambda: inventory,
            "a move",
            LIMITS,
            0,
            0,
            on_step=on_step,
        )

    def push_once(
        self, name: str, limits: RunLimits, max_batch: int | None = None, at: EventAt | None = None
    ) -> None:
        moment = None if at is None else Moment(at[0], at[1], during_run(self, name)[at[2]])
        before, assignments, refused_records = (
            self.environment.rows(),
            self.environment.assignments(),
            self.environment.refused(),
        )
        self.guarantees.start_run(moment)
        faults = self.nodes[name].faults
        undisturbed = faults == Faults() and at is None and not self.killed
        stopped, report = None, None
        try:
            report = push_lane(self.lane_context(name, max_batch), limits)
        except Killed:
            self.guarantees.add_unwritten()
            self.environment.leave_leased(name, ["push"])
            self.killed = True
        except LaneBusy:
            assert self.killed
        except LaneLost:
            assert self.guarantees.paused
            self.guarantees.add_unwritten()  # refusals after its pause, which it cannot write
        except LaneStopped as error:
            stopped, report = error, cast("PushReport", error.report)
            self.guarantees.add_unwritten()
        self.guarantees.raise_violation()
        blocked = self.policy == "block" and "blocks it" in str(stopped)
        assert stopped is None or blocked or not undisturbed, str(stopped)
        flagged = self.guarantees.end_run(before, name)
        self.guarantees.check_state()
        if report is not None:
            self.guarantees.check_report(report)
        if report is not None and at is None:
            assert report.pushed == len(flagged)
            assert flagged == [id_ for id_ in self.guarantees.accepted if id_ in set(flagged)]
            if not stopped:
                eligible = [
                    id_
                    for id_ in self.guarantees.eligible(before, refused_records)
                    if assignments[before[id_].owner] == name
                ]
                seen = report.selected + report.not_reached
                # Records that wait behind one that was parked in this run may not have been read.
                assert seen == len(eligible) or (report.parked and seen < len(eligible)), (
                    f"{report}: {eligible}"
                )

    def pull_once(self, name: str, at: EventAt | None = None) -> None:
        moment = None if at is None else Moment(at[0], at[1], during_run(self, name)[at[2]])
        before = self.environment.rows()
        self.guarantees.start_run(moment)
        faults, stopped = self.nodes[name].faults, None
        try:
            report = pull_lane(self.lane_context(name))
        except Killed:
            self.environment.leave_leased(name, ["pull"])
            self.killed = True
            return
        except LaneBusy:
            assert self.killed
            return
        except LaneStopped as error:
            stopped, report = error, cast("PullReport", error.report)
        self.guarantees.raise_violation()
        assert stopped is None or faults.down or self.named_deleted_record(name), str(stopped)
        self.guarantees.check_report(report)
        self.guarantees.check_state()
        now = self.environment.rows()
        pulled = [row.id for row in now.values() if row.pulled and not before[row.id].pulled]
        assert report.pulled == len(pulled)

    def move(
        self, owner: int, killed: str | None, act: Callable[[MoveContext], object], *, again: bool
    ) -> None:
        source = self.environment.assignments()[owner]
        self.guarantees.start_run(None)

        def kill_at(step: str) -> None:
            if step == killed:
                raise Killed

        try:
            act(self.move_context(kill_at))
        except Killed:
            self.environment.leave_leased(source, ["push", "pull"])
            self.killed = True
        except LaneBusy:
            assert self.killed
            return
        if again:
            for row in self.environment.rows().values():
                if row.owner == owner:
                    self.guarantees.reset(row.id)
        self.guarantees.check_state()

    def replay_all(self) -> None:
        self.guarantees.decided = True
        refused_records = self.environment.refused()
        decide_refused(self.environment.engine, self.service, "replay")
        for record in refused_records:
            if refused_records[record][1] in {"parked", "blocking"}:
                self.guarantees.reset(record)

    def replay_failed(self) -> None:
        """A run that goes on may have passed their places."""
        self.guarantees.decided = True
        self.guarantees.late |= self.environment.failed()
        decide_refused(self.environment.engine, self.service, "replay", failed=True)

    def count_exactly(self) -> None:
        (tables,) = (pull_tables(self.service, protocol) for protocol in self.service.protocols)
        by, _ = count_exactly(self.environment.engine, tables, utc_now())
        assert by == -self.guarantees.deleted
        self.guarantees.deleted = 0

    def expire_leases(self) -> None:
        if self.killed:
            self.environment.expire()
            self.killed = False

    def settle(self) -> None:
        """End all faults, replay all parked records, and run all lanes until nothing changes."""
        while self.later:
            self.commit()
        for node in self.nodes.values():
            node.faults = Faults()
        self.expire_leases()
        self.replay_all()
        for owner in OWNERS:  # a node that processes a newer record should have had all older ones
            self.write_now(owner, [9])
        self.run_until_quiet()
        for owner in sorted(self.missing()):
            self.send_again(owner)
        self.run_until_quiet()

    def missing(self) -> set[int]:
        """The owners of the records that their node does not have, as `workmesh check` lists them."""
        tables = pull_tables(self.service, self.service.protocols[0])
        return {record.entity for record in missing_records(self.environment.engine, tables)}

    def run_until_quiet(self) -> None:
        quiet, before = 0, self.environment.rows()
        while quiet < QUIET_CYCLES:
            self.replay_failed()
            for name in NODES:
                self.finish(name)
            rows = self.environment.rows()
            quiet, before = (quiet + 1 if rows == before else 0), rows

    def send_again(self, owner: int) -> None:
        self.move(owner, None, lambda context: repush(context, owner), again=True)

    def finish(self, name: str) -> None:
        """Push and pull the lanes of one node, if they have work."""
        own = [
            row
            for row in self.environment.rows().values()
            if self.environment.assignments()[row.owner] == name
        ]
        if any(not row.pushed for row in own):
            self.push_once(name, RunLimits())
        self.nodes[name].process(1000)
        if all(row.pulled for row in own) and not self.missing():
            return
        if own and self.named_deleted_record(name):  # the next record corrects this
            self.write_now(own[0].owner, [9])
            self.push_once(name, RunLimits())
            self.nodes[name].process(1000)
        self.pull_once(name)

    def named_deleted_record(self, name: str) -> bool:
        """Whether the node's latest record was deleted in the master before the node named it for the first time."""
        done = self.nodes[name].store.done
        return bool(done) and done[-1] not in self.environment.rows()

    def one_pending(self, pick: int) -> int | None:
        return one_of([row.id for row in self.environment.rows().values() if not row.pushed], pick)


def one_of(found: Collection[int], pick: int) -> int | None:
    listed = sorted(found)
    return listed[pick % len(listed)] if listed else None
