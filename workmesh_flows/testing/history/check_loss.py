"""Loss and doubles: each record is at one node, or still waits, and no node has it twice."""

from __future__ import annotations

from collections.abc import Iterator

from workmesh_flows.testing.history.events import RecordState
from workmesh_flows.testing.history.index import Known, Ledger, Stream
from workmesh_flows.testing.history.verdict import Promise, Violation


def loss_violations(ledger: Ledger, *, settled: bool) -> Iterator[Violation]:
    """Records that are nowhere, and records that are flagged as pushed to a node that never had them.

    ``settled`` demands more: nothing waits any longer, but for what is parked and what has no owner.
    """
    for stream, known in ledger.all_records():
        if not known.deleted and (found := _lost(ledger, stream, known, settled=settled)):
            node, sentence = found
            yield Violation(Promise.LOSS, *stream, node, (known.id,), f"record {known.id} {sentence}")


def _lost(ledger: Ledger, stream: Stream, known: Known, *, settled: bool) -> tuple[str | None, str] | None:
    state = known.state
    if state is None:
        return _not_told(known, settled=settled, told=stream in ledger.told)
    if state.push_success:
        return _not_there(known, state)
    if settled and not state.parked and state.owner is not None:
        why = "its owner has no node" if state.node is None else "it should have been pushed by now"
        return state.node, f"is still pending: {why}"
    return None


def _not_told(known: Known, *, settled: bool, told: bool) -> tuple[None, str] | None:
    """A record without a state at the end; ``told`` where others of its protocol have one."""
    if known.exists is None:
        return None  # a node has it; whether it ever was the master's, nothing says
    if told:
        return None, "is gone: it was written, never deleted, and is not there at the end"
    if settled and not known.accepted and known.owner is not None:
        return None, "was accepted by no node"
    return None


def _not_there(known: Known, state: RecordState) -> tuple[str | None, str] | None:
    if not known.accepted:
        return state.node, "is flagged as pushed, but no node accepted it"
    # What is not pulled yet was pushed to the node that its owner has now: a move makes it pending again.
    on_its_way = state.pulls and not state.pull_success
    if on_its_way and all(one.node != state.node for one in known.accepted):
        there = ", ".join(sorted({one.node for one in known.accepted}))
        return state.node, f"is flagged as pushed to {state.node}, but only {there} accepted it"
    return None


def twice_violations(ledger: Ledger) -> Iterator[Violation]:
    """Records that were accepted a second time, by the same node or another one, without a move of their owner."""
    for stream, known in ledger.all_records():
        if len(known.accepted) < 2:  # noqa: PLR2004 - twice
            continue
        moves = ledger.moves_of(stream.service, known.owner)
        before, *again = sorted(known.accepted, key=lambda one: one.time)
        for one in again:
            if not any(before.time <= moved <= one.time for moved in moves):
                where = (
                    f"by {one.node} again (seq {before.seq} and {one.seq})"
                    if one.node == before.node
                    else f"by {before.node} and by {one.node}"
                )
                sentence = f"record {known.id} was accepted {where}, and its owner was not moved in between"
                yield Violation(Promise.TWICE, *stream, one.node, (known.id,), sentence)
            before = one
