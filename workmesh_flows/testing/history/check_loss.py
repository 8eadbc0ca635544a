"""Loss and doubles: each record is at one node, or still waits, and no node has it twice."""

from __future__ import annotations

from collections.abc import Iterator

from workmesh_flows.testing.history.events import RecordState
from workmesh_flows.testing.history.index import HistoryIndex, KnownRecord, Stream
from workmesh_flows.testing.history.verdict import Promise, Violation


def loss_violations(ledger: HistoryIndex, *, settled: bool) -> Iterator[Violation]:
    """Records that are nowhere, and records that are flagged as pushed to a node that never had them.

    ``settled`` demands more: nothing waits any longer, but for what is parked and what has no owner.
    """
    for stream, known_records in ledger.all_records():
        if not known_records.deleted and (found := _lost(ledger, stream, known_records, settled=settled)):
            node, sentence = found
            yield Violation(
                Promise.LOSS, *stream, node, (known_records.id,), f"record {known_records.id} {sentence}"
            )


def _lost(
    ledger: HistoryIndex, stream: Stream, known_records: KnownRecord, *, settled: bool
) -> tuple[str | None, str] | None:
    state = known_records.state
    if state is None:
        return _not_reported(known_records, settled=settled, told=stream in ledger.told)
    if state.push_success:
        return _not_existing(known_records, state)
    if settled and not state.parked and state.owner is not None:
        why = "its owner has no node" if state.node is None else "it should have been pushed by now"
        return state.node, f"is still pending: {why}"
    return None


def _not_reported(known_records: KnownRecord, *, settled: bool, told: bool) -> tuple[None, str] | None:
    """A record without a state at the end; ``told`` where others of its protocol have one."""
    if known_records.exists is None:
        return None  # a node has it; whether it ever was the master's, nothing says
    if told:
        return None, "is gone: it was written, never deleted, and is not there at the end"
    if settled and not known_records.accepted and known_records.owner is not None:
        return None, "was accepted by no node"
    return None


def _not_existing(known_records: KnownRecord, state: RecordState) -> tuple[str | None, str] | None:
    if not known_records.accepted:
        return state.node, "is flagged as pushed, but no node accepted it"
    # What is not pulled yet was pushed to the node that its owner has now: a move makes it pending again.
    on_its_way = state.pulls and not state.pull_success
    if on_its_way and all(one.node != state.node for one in known_records.accepted):
        there = ", ".join(sorted({one.node for one in known_records.accepted}))
        return state.node, f"is flagged as pushed to {state.node}, but only {there} accepted it"
    return None


def twice_violations(ledger: HistoryIndex) -> Iterator[Violation]:
    """Records that were accepted a second time, by the same node or another one, without a move of their owner."""
    for stream, known_records in ledger.all_records():
        if len(known_records.accepted) < 2:  # noqa: PLR2004 - twice
            continue
        moves = ledger.moves_of(stream.service, known_records.owner)
        before, *again = sorted(known_records.accepted, key=lambda one: one.time)
        for one in again:
            if not any(before.time <= moved <= one.time for moved in moves):
                where = (
                    f"by {one.node} again (seq {before.seq} and {one.seq})"
                    if one.node == before.node
                    else f"by {before.node} and by {one.node}"
                )
                sentence = (
                    f"record {known_records.id} was accepted {where}, and its owner was not moved in between"
                )
                yield Violation(Promise.TWICE, *stream, one.node, (known_records.id,), sentence)
            before = one
