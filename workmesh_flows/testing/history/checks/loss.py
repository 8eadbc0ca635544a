"""Loss: each record is at a node, or still pending in the master's database."""

from __future__ import annotations

from collections.abc import Iterator

from workmesh_flows.testing.history.events import RecordState
from workmesh_flows.testing.history.index import HistoryIndex, KnownRecord
from workmesh_flows.testing.history.verdict import Guarantee, Violation


def find_lost_records(index: HistoryIndex, *, settled: bool) -> Iterator[Violation]:
    """Yield records that are gone, and records that are flagged as pushed to a node that never accepted them.

    With ``settled``, pending records are lost too, except parked ones and those without an owner.
    """
    for stream, record in index.all_records():
        if not record.deleted and (
            found := _loss(record, settled=settled, has_states=stream in index.with_states)
        ):
            node, sentence = found
            yield Violation(Guarantee.LOSS, *stream, node, (record.id,), f"record {record.id} {sentence}")


def _loss(record: KnownRecord, *, settled: bool, has_states: bool) -> tuple[str | None, str] | None:
    """The node concerned and the end of the sentence; None for a record that is not lost."""
    state = record.state
    if state is None:
        return _loss_without_state(record, settled=settled, has_states=has_states)
    if state.push_success:
        return _loss_of_pushed(record, state)
    if settled and not state.parked and state.owner is not None:
        reason = "its owner has no node" if state.node is None else "it should have been pushed by now"
        return state.node, f"is still pending: {reason}"
    return None


def _loss_without_state(record: KnownRecord, *, settled: bool, has_states: bool) -> tuple[None, str] | None:
    """A record without a final state; ``has_states`` where other records of its protocol have one."""
    if record.exists is None:
        return None  # a node has it, but nothing shows that the master's database ever had it
    if has_states:
        return None, "is gone: it was written, was not deleted, and is missing at the end"
    if settled and not record.accepted and record.owner is not None:
        return None, "was accepted by no node"
    return None


def _loss_of_pushed(record: KnownRecord, state: RecordState) -> tuple[str | None, str] | None:
    if not record.accepted:
        return state.node, "is flagged as pushed, but no node accepted it"
    # A record that is not pulled yet must be at its owner's current node: a move makes such records pending again.
    in_flight = state.pulls and not state.pull_success
    if in_flight and all(accepted.node != state.node for accepted in record.accepted):
        nodes = ", ".join(sorted({accepted.node for accepted in record.accepted}))
        return state.node, f"is flagged as pushed to {state.node}, but only {nodes} accepted it"
    return None
