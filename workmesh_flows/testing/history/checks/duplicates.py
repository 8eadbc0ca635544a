"""Duplicates: each record is accepted once, unless its owner is moved or its data is sent again."""

from __future__ import annotations

from collections.abc import Iterator

from workmesh_flows.testing.history.index import HistoryIndex
from workmesh_flows.testing.history.verdict import Guarantee, Violation


def find_duplicates(index: HistoryIndex) -> Iterator[Violation]:
    """Yield records that a node accepted a second time, at the same node or another, without a move of their owner."""
    for stream, record in index.all_records():
        if len(record.accepted) < 2:  # noqa: PLR2004 - a duplicate takes two acceptances
            continue
        moves = index.moves_of(stream.service, record.owner)
        earlier, *later = sorted(record.accepted, key=lambda accepted: accepted.time)
        for accepted in later:
            if not any(earlier.time <= move <= accepted.time for move in moves):
                where = (
                    f"by {accepted.node} again (seq {earlier.seq} and {accepted.seq})"
                    if accepted.node == earlier.node
                    else f"by {earlier.node} and by {accepted.node}"
                )
                sentence = f"record {record.id} was accepted {where}, and its owner was not moved in between"
                yield Violation(Guarantee.DUPLICATES, *stream, accepted.node, (record.id,), sentence)
            earlier = accepted
