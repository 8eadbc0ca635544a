"""The model: what is promised of each request, each run, and of the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.reliability.model.forgetful_node import ForgetfulNode
from tests.reliability.model.watched_calls import Killed, Moment
from tests.reliability.model.world import NODES, Places, Row
from workmesh_flows.domain.reports import PullReport, PushReport
from workmesh_flows.planning.refusals import RefusalState


@dataclass
class Promises:
    """Watches each request; what is asserted here is all that is promised while work goes on."""

    places: Places
    nodes: dict[str, ForgetfulNode]
    most: int
    moment: Moment | None = None
    late: set[int] = field(default_factory=set)
    """Records that came or changed their place since the run began: it may have read past them."""
    decided: bool = False
    """Whether somebody decided about refused records since the run began: a page may have been read before."""
    paused: bool = False
    """Whether the run in hand has lost its lane to another one: one request of its may still be under way."""
    tries: Counter[int] = field(default_factory=Counter)
    unseen: Counter[int] = field(default_factory=Counter)
    """Refusals that a run was told of and that died with it, or that could not be written."""
    told: Counter[int] = field(default_factory=Counter)
    wrong: Exception | None = None
    accepted: list[int] = field(default_factory=list)
    last_push: dict[str, Any] = field(default_factory=dict)

    def run_begins(self, moment: Moment | None) -> None:
        self.moment, self.decided, self.paused = moment, False, False
        self.late.clear()
        self.told.clear()
        self.accepted.clear()

    def push_begins(self, node: str, ids: Sequence[int]) -> None:
        self.reach(after=False)
        if not self.paused:
            with self.kept():
                self.check_request(node, ids)

    def push_ends(self, node: str, ids: Sequence[int], refused: Sequence[int] | None) -> None:
        refused = refused or []
        if len(ids) == 1 or len(refused) < len(ids):
            self.tries.update(refused)
            self.told.update(refused)
        self.accepted += [id_ for id_ in ids if id_ not in refused]
        self.reach(after=True)

    def pull_begins(self) -> None:
        self.reach(after=False)

    def pull_ends(self) -> None:
        self.reach(after=True)

    def reach(self, *, after: bool) -> None:
        if self.moment is not None and self.moment.reached(after=after):
            with self.kept():
                self.moment.what()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what is wrong until the run is over: raised from a push function, it would count as a refusal."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - told by `tell`
            self.wrong = self.wrong or error

    def tell(self) -> None:
        """Raise what was wrong in the run that is over."""
        if self.wrong is not None:
            raise self.wrong

    def check_request(self, node: str, ids: Sequence[int]) -> None:
        """Only records whose owner is at the node, that nobody set aside, and behind nothing of their owner's.

        Of each owner a request holds what is pending from its first record on, without a gap, in the order of
        (sort, id). What is skipped is no gap, nor is what came or was edited while the run went on.
        """
        rows, homes, aside = self.places.rows(), self.places.homes(), self.places.parked()
        assert len(set(ids)) == len(ids)
        parked_owners = {owner for owner, state, _ in aside.values() if state == RefusalState.PARKED}
        sent: set[int] = set()
        for id_ in ids:
            if id_ not in rows:
                continue  # deleted since it was read
            row = rows[id_]
            assert homes[row.owner] == node, (
                f"record {id_} is sent to {node}, its owner is at {homes[row.owner]}"
            )
            assert not row.pushed, f"record {id_} is sent, it was pushed already"
            if not self.decided:
                assert row.owner not in parked_owners, f"record {id_} is sent, its owner is parked"
                assert id_ not in aside or aside[id_][1] == RefusalState.RETRYING, (
                    f"record {id_} is sent, it is set aside"
                )
            before = [
                other.id
                for other in rows.values()
                if other.owner == row.owner
                and other.place < row.place
                and not other.pushed
                and other.id not in sent
                and other.id not in self.late
                and (other.id not in aside or aside[other.id][1] != RefusalState.SKIPPED)
            ]
            assert not before or id_ in self.late, f"record {id_} of {row.owner} is sent before {before}"
            sent.add(id_)

    def run_ends(self, before: dict[int, Row], node: str) -> list[int]:
        """Push times of a lane strictly increase; gives the ids that were flagged, in that order."""
        flagged = [
            row
            for row in self.places.rows().values()
            if row.pushed and not (row.id in before and before[row.id].pushed)
        ]
        flagged.sort(key=lambda row: row.push_time)
        times = [row.push_time for row in flagged if row.push_time is not None]
        assert len(times) == len(flagged) == len(set(times))
        if times:
            assert node not in self.last_push or times[0] > self.last_push[node], "push times go back"
            self.last_push[node] = times[-1]
        for row in flagged:
            self.forget(row.id)
        return [row.id for row in flagged]

    def eligible(self, rows: dict[int, Row], aside: dict[int, tuple[int, str, int]]) -> list[int]:
        """What is pending and not set aside."""
        parked_owners = {owner for owner, state, _ in aside.values() if state == RefusalState.PARKED}
        skipped = {id_ for id_, (_, state, _) in aside.items() if state == RefusalState.SKIPPED}
        return [
            row.id
            for row in rows.values()
            if not row.pushed and row.owner not in parked_owners and row.id not in skipped
        ]

    def forget(self, record: int) -> None:
        """It has its tries anew."""
        self.tries.pop(record, None)
        self.unseen.pop(record, None)

    def not_written(self) -> None:
        """What the run was told so far may not have been written."""
        self.unseen.update(self.told)
        self.told.clear()

    def kill(self) -> None:
        raise Killed

    def check_report(self, report: PushReport | PullReport) -> None:
        done, bad = (
            (report.pushed, report.refused + report.parked)
            if isinstance(report, PushReport)
            else (report.pulled, report.failed)
        )
        assert report.selected == done + bad + report.left, str(report)
        assert min(report.selected, done, bad, report.left) >= 0, str(report)

    def check_state(self) -> None:
        """What the flags say is true, and nothing was tried too often."""
        homes = self.places.homes()
        for row in self.places.rows().values():
            if row.pushed and not row.pulled:
                assert row.id in self.nodes[homes[row.owner]].ever, f"record {row.id} was never accepted"
            if row.pulled:
                assert row.score in {
                    node.score(row.id) for node in self.nodes.values() if row.id in node.ever_done
                }
        for record, count in self.tries.items():
            assert count <= self.most + self.unseen[record], f"record {record} was refused {count} times"
        for _, _, attempts in self.places.parked().values():
            assert attempts <= self.most
        for node in self.nodes.values():
            assert len(node.effects) == len(set(node.effects)), "processed twice"

    def missing(self) -> set[int]:
        """Owners of what a backup that was put back does not know, and the master waits for."""
        homes = self.places.homes()
        return {
            row.owner
            for row in self.places.rows().values()
            if row.pushed and not row.pulled and row.id not in self.nodes[homes[row.owner]].store.records
        }

    def check_end(self) -> None:
        """Nothing is lost: each record that was not skipped was accepted, processed and pulled."""
        aside = self.places.parked()
        skipped = {record for record, (_, state, _) in aside.items() if state == RefusalState.SKIPPED}
        rows = [row for row in self.places.rows().values() if row.id not in skipped]
        assert [row.id for row in rows if not row.pushed] == [], "not pushed in the end"
        assert [row.id for row in rows if not row.pulled] == [], "not pulled in the end"
        assert set(self.places.homes().values()) <= set(NODES)
