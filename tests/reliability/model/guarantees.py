"""The model: the guarantees that hold for each request, for each run, and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.model.environment import NODES, Environment, Row
from tests.reliability.model.model_node import ModelNode
from tests.reliability.model.watched_calls import Killed, Moment
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.planning.refusals import RefusalState


@dataclass
class Guarantees:
    """Watches each request; asserts every guarantee that holds while runs are going on."""

    environment: Environment
    nodes: dict[str, ModelNode]
    most: int
    moment: Moment | None = None
    late: set[int] = field(default_factory=set)
    """Records that were written or changed their position after the start of the run, which may have read past them."""
    decided: bool = False
    """Whether refused records were replayed after the start of the run: it may have read its page before."""
    paused: bool = False
    """Whether the current run has lost its lane to another one: it may still have one open request."""
    refusals: Counter[int] = field(default_factory=Counter)
    unwritten: Counter[int] = field(default_factory=Counter)
    """Refusals that a run got but did not write, because it was killed or could not."""
    of_run: Counter[int] = field(default_factory=Counter)
    """Refusals that the current run got."""
    violation: Exception | None = None
    deleted: int = 0
    """Processed records that the application deleted since the last exact count."""
    accepted: list[int] = field(default_factory=list)
    last_push: dict[str, Any] = field(default_factory=dict)

    def start_run(self, moment: Moment | None) -> None:
        self.moment, self.decided, self.paused = moment, False, False
        self.late.clear()
        self.of_run.clear()
        self.accepted.clear()

    def push_starts(self, node: str, ids: Sequence[int]) -> None:
        self.reach(after=False)
        if not self.paused:
            with self.collecting():
                self.check_request(node, ids)

    def push_ends(self, node: str, ids: Sequence[int], refused: Sequence[int] | None) -> None:
        refused = refused or []
        if len(ids) == 1 or len(refused) < len(ids):
            self.refusals.update(refused)
            self.of_run.update(refused)
        self.accepted += [id_ for id_ in ids if id_ not in refused]
        self.reach(after=True)

    def pull_starts(self) -> None:
        self.reach(after=False)

    def pull_ends(self) -> None:
        self.reach(after=True)

    def reach(self, *, after: bool) -> None:
        if self.moment is not None and self.moment.reached(after=after):
            with self.collecting():
                self.moment.action()

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep a violation until the end of the run: raised in a push function, it would count as a refusal."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised by `raise_violation`
            self.violation = self.violation or error

    def raise_violation(self) -> None:
        """Raise the violation of the last run, if there was one."""
        if self.violation is not None:
            raise self.violation

    def check_request(self, node: str, ids: Sequence[int]) -> None:
        """A request holds only pending records of owners at the node, none parked, and none that waits behind another.

        Of each owner it holds the first pending records in the order of (sort, id), without a gap. Skipped records,
        and those that were written or edited during the run, are no gap.
        """
        rows, assignments, refused_records = (
            self.environment.rows(),
            self.environment.assignments(),
            self.environment.refused(),
        )
        assert len(set(ids)) == len(ids)
        parked_owners = {
            owner for owner, state, _ in refused_records.values() if state == RefusalState.PARKED
        }
        sent: set[int] = set()
        for id_ in ids:
            if id_ not in rows:
                continue  # deleted since it was read
            row = rows[id_]
            assert assignments[row.owner] == node, (
                f"record {id_} is sent to {node}, its owner is assigned to {assignments[row.owner]}"
            )
            assert not row.pushed, f"record {id_} is sent, but was pushed already"
            if not self.decided:
                assert row.owner not in parked_owners, (
                    f"record {id_} is sent, but a record of its owner is parked"
                )
                assert id_ not in refused_records or refused_records[id_][1] == RefusalState.RETRYING, (
                    f"record {id_} is sent, but is parked"
                )
            before = [
                other.id
                for other in rows.values()
                if other.owner == row.owner
                and other.place < row.place
                and not other.pushed
                and other.id not in sent
                and other.id not in self.late
                and (other.id not in refused_records or refused_records[other.id][1] != RefusalState.SKIPPED)
            ]
            assert not before or id_ in self.late, f"record {id_} of {row.owner} is sent before {before}"
            sent.add(id_)

    def end_run(self, before: dict[int, Row], node: str) -> list[int]:
        """Push times of a lane strictly increase; returns the flagged ids in this order."""
        flagged = [
            row
            for row in self.environment.rows().values()
            if row.pushed and not (row.id in before and before[row.id].pushed)
        ]
        flagged.sort(key=lambda row: row.push_time)
        times = [row.push_time for row in flagged if row.push_time is not None]
        assert len(times) == len(flagged) == len(set(times))
        if times:
            assert node not in self.last_push or times[0] > self.last_push[node], "push times fall"
            self.last_push[node] = times[-1]
        for row in flagged:
            self.reset(row.id)
        return [row.id for row in flagged]

    def eligible(self, rows: dict[int, Row], refused_records: dict[int, tuple[int, str, int]]) -> list[int]:
        """The ids of records that are pending and neither parked nor waiting behind a parked one.

        Nothing waits behind a parked record that was deleted since: a run forgets it first.
        """
        parked_owners = {
            owner
            for id_, (owner, state, _) in refused_records.items()
            if state == RefusalState.PARKED and id_ in rows
        }
        skipped = {id_ for id_, (_, state, _) in refused_records.items() if state == RefusalState.SKIPPED}
        return [
            row.id
            for row in rows.values()
            if not row.pushed and row.owner not in parked_owners and row.id not in skipped
        ]

    def reset(self, record: int) -> None:
        """A record has all its attempts again."""
        self.refusals.pop(record, None)
        self.unwritten.pop(record, None)

    def add_unwritten(self) -> None:
        """The refusals that the run got so far may not be written."""
        self.unwritten.update(self.of_run)
        self.of_run.clear()

    def kill(self) -> None:
        raise Killed

    def check_report(self, report: PushReport | PullReport) -> None:
        counts = (
            (report.pushed, report.refused + report.parked, report.waiting)
            if isinstance(report, PushReport)
            else (report.pulled, report.failed, report.in_flight)
        )
        assert report.selected == sum(counts), str(report)
        assert min(report.selected, *counts) >= 0, str(report)

    def check_counts(self) -> None:
        """Counters and correction add up to the records that are processed, and those that were deleted since."""
        processed = [row.id for row in self.environment.rows().values() if row.pushed and row.pulled]
        assert self.environment.counted() == len(processed) + self.deleted, f"{processed} are processed"

    def check_state(self) -> None:
        """All flags are true, and no record was refused more often than allowed."""
        for row in self.environment.rows().values():
            if row.pushed and not row.pulled:
                assert any(row.id in node.ever for node in self.nodes.values()), (
                    f"record {row.id} was never accepted"
                )
            if row.pulled:
                assert row.score in {
                    node.score(row.id) for node in self.nodes.values() if row.id in node.ever_done
                }
        for record, count in self.refusals.items():
            assert count <= self.most + self.unwritten[record], f"record {record} was refused {count} times"
        for _, _, attempts in self.environment.refused().values():
            assert attempts <= self.most
        for node in self.nodes.values():
            assert len(node.effects) == len(set(node.effects)), "a record was processed twice"

    def check_end(self) -> None:
        """No loss: each record that was not skipped is pushed and pulled."""
        refused_records = self.environment.refused()
        skipped = {
            record for record, (_, state, _) in refused_records.items() if state == RefusalState.SKIPPED
        }
        rows = [row for row in self.environment.rows().values() if row.id not in skipped]
        assert [row.id for row in rows if not row.pushed] == [], "not pushed at the end"
        assert [row.id for row in rows if not row.pulled] == [], "not pulled at the end"
        listed = self.environment.failed() | self.environment.replays()
        assert listed.isdisjoint(row.id for row in rows), "failed at the end"
        assert set(self.environment.assignments().values()) <= set(NODES)
