"""What a node answered about the records of one run, written part by part.

A refusal is withheld until the node accepts another record, since the node may be at fault, and not the record; then it
is counted. Where records of several entities are refused one after the other, the lane stops, no attempt is counted,
and these records are sent last by the next run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from workmesh_flows.adapters.store.engine import Clock
from workmesh_flows.adapters.store.lanes import LaneLease, node_fails_elsewhere
from workmesh_flows.adapters.store.protocol_tables import PushTables
from workmesh_flows.adapters.store.push_flags import PushFlags
from workmesh_flows.adapters.store.refused_records import Refusal, RetryingRecord
from workmesh_flows.domain.reports import Tally
from workmesh_flows.errors import NodeUnavailable
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.planning.bisection import Sendable, Unreadable
from workmesh_flows.planning.refusals import RefusalState, is_fault_of_node, state_after

REMEMBERED = 100_000
"""Ids of sent records kept in memory for records that depend on them; where dropped, those wait for the next run."""

RefusedItems: TypeAlias = Mapping[Any, tuple[Sendable, str]]
"""Refused records by id, each with the reason."""


@dataclass(slots=True)
class PartResults:
    """The results of one run over one lane.

    ``held`` are the owners whose records wait behind a refused one, ``refused`` the ids of records that this run does
    not send again, ``blocked`` is the record that blocks the lane, with the reason. ``sent`` are the ids of pushed
    records where others of the lane may depend on them.
    """

    context: LaneContext
    tables: PushTables
    lease: LaneLease
    clock: Clock
    tally: Tally
    flags: PushFlags
    held: set[Any] = field(default_factory=set)
    refused: set[Any] = field(default_factory=set)
    blocked: tuple[str, str] | None = None
    sent: set[Any] = field(default_factory=set)
    accepted: bool = False
    withheld: dict[Any, tuple[Sendable, str]] = field(default_factory=dict)

    @property
    def keeps_sent(self) -> bool:
        """Whether a record may depend on another record of the same lane."""
        follows = self.tables.protocol.follows
        return follows is not None and follows.protocol is self.tables.protocol

    @property
    def in_doubt(self) -> bool:
        """Whether the node is probably at fault: it refused records of several entities in a row."""
        return is_fault_of_node(
            (item.owner for item, _ in self.withheld.values()), accepted_before=self.accepted
        )

    @property
    def answered(self) -> int:
        """Number of records about which the node has answered, counted or not."""
        return self.tally.decided + len(self.withheld)

    def hold_back(self, counted: Mapping[Any, RetryingRecord]) -> None:
        """Do not send these records, nor those behind them: an earlier attempt of the run counted their refusals."""
        self.refused.update(counted)
        self.held.update(record.owner for record in counted.values())

    def write(self, part: Sequence[Sendable], refused: Mapping[Any, str]) -> None:
        """Flag the records of a part; hold the owners of its ``refused`` ones, which are given with their reasons."""
        pushed = (
            [item.id for item in part if item.id not in refused] if refused else [item.id for item in part]
        )
        items = {item.id: (item, refused[item.id]) for item in part if item.id in refused} if refused else {}
        self.refused.update(items)
        self.held.update(item.owner for item, _ in items.values())
        if pushed:
            self.accepted = True
            withheld, self.withheld = self.withheld, {}
            self._write(pushed, withheld | items if withheld else items)
        elif RefusalState.BLOCKING in map(self._next_state, items):
            self._write([], items)  # it stops the lane: no later record can show whose fault it is
        else:
            unread = {key: one for key, one in items.items() if type(one[0].record) is Unreadable}
            if unread:  # the node was not asked
                self._write([], unread, answered=False)
            self.withheld |= {key: one for key, one in items.items() if key not in unread}

    def finish(self) -> None:
        """The run has sent everything: count the withheld refusals, unless the node accepts nothing in other lanes."""
        proven = self.accepted or not node_fails_elsewhere(self.context.engine, self.lease.lane)
        if self.withheld and proven:
            withheld, self.withheld = self.withheld, {}
            self._write([], withheld)
        self.stop()

    def stop(self) -> None:
        """Save the refusals that are still withheld, without counting them: the next run sends these records last."""
        if self.withheld:
            self._save_uncounted(self.withheld)
            self.tally.undecided += len(self.withheld)
            self.withheld = {}

    def connection_lost(self, item: Sendable, reason: str) -> None:
        """The node was unreachable after it was sent this record alone; the next run sends it last.

        It counts where the node accepted records of others before, or where no others are there that could show it.
        """
        retrying = self.flags.refusals.retrying
        alone = item.id in retrying and not is_fault_of_node(
            (record.owner for record in retrying.values()), accepted_before=False
        )
        if self.accepted or alone:
            self._write([], {item.id: (item, reason)}, answered=False)
        else:
            self._save_uncounted({item.id: (item, reason)})

    def refuses_everything(self) -> NodeUnavailable:
        """The error with which a lane stops whose node is in doubt."""
        count = len({item.owner for item, _ in self.withheld.values()})
        _, reason = next(iter(self.withheld.values()))
        return NodeUnavailable(
            f"it refuses everything: records of {count} entities one after the other; the first one: {reason}. "
            "The node is probably at fault, so no attempt is counted and no record is parked",
            node=self.context.node.name,
        )

    def _write(self, pushed: Sequence[Any], refused: RefusedItems, *, answered: bool = True) -> None:
        now = self.clock()
        refusals = self._refusals(refused, now, counted=True)
        self.flags.write(pushed, refusals, now, answered=answered)
        self.tally.succeeded += len(pushed)
        if self.keeps_sent:
            if len(self.sent) > REMEMBERED:
                self.sent.clear()
            self.sent.update(pushed)
        for record_id, refusal in refusals.items():
            if refusal.state is RefusalState.BLOCKING:
                self.blocked = self.blocked or (str(record_id), refusal.reason)
        parked = sum(refusal.state is not RefusalState.RETRYING for refusal in refusals.values())
        self.tally.add_failed({key: refusal.reason for key, refusal in refusals.items()}, parked=parked)

    def _save_uncounted(self, refused: RefusedItems) -> None:
        now = self.clock()
        self.flags.write([], self._refusals(refused, now, counted=False), now, answered=False)

    def _refusals(self, refused: RefusedItems, now: datetime, *, counted: bool) -> dict[Any, Refusal]:
        refusals = {}
        for record_id, (item, reason) in refused.items():
            attempts, since = self._earlier(record_id, now)
            state = self._next_state(record_id) if counted else RefusalState.RETRYING
            refusals[record_id] = Refusal(item.owner, reason, attempts + counted, since, state, counted)
        return refusals

    def _next_state(self, record_id: Any) -> RefusalState:  # noqa: ANN401 - any key
        """The state of the record if one more refusal is counted."""
        earlier, push = self.flags.refusals.retrying.get(record_id), self.tables.push
        attempts = 0 if earlier is None else earlier.attempts
        most = push.max_attempts or self.context.limits.max_attempts
        return state_after(attempts + 1, most=most, policy=push.policy)

    def _earlier(self, record_id: Any, now: datetime) -> tuple[int, datetime]:  # noqa: ANN401 - any key
        """Attempts that were counted before, and the time of the first refusal."""
        earlier = self.flags.refusals.retrying.get(record_id)
        return (0, now) if earlier is None else (earlier.attempts, earlier.since)
