"""Checking ``after``: exactly one protocol must push the record that another record depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import InstrumentedAttribute

from workmesh_flows.domain.columns import described, mapper_problem, table_of
from workmesh_flows.domain.owner_path import read_hop
from workmesh_flows.domain.protocol import Follows, Protocol, Push


def follow_problems(protocol: Protocol, protocols: Sequence[Protocol]) -> Iterator[str]:
    """Yield the problems of ``after`` among the protocols of a service; set ``protocol.follows``."""
    after = protocol.after
    if after is None or mapper_problem(protocol.record, "record"):
        return
    if not isinstance(after, InstrumentedAttribute):
        yield f"after must be a relationship or a foreign key column, not {described(after)}"
        return
    hop, problem = read_hop(after, "after")
    if hop is None:
        yield problem
        return
    if hop.pairs[0][0].table is not table_of(protocol.record):
        yield f"after {described(after)} does not start at {protocol.record.__name__}"
        return
    senders = [
        other
        for other in protocols
        if isinstance(other.push, Push)
        and not mapper_problem(other.record, "record")
        and table_of(other.record) is hop.table
    ]
    if len(senders) == 1:
        protocol.follows = Follows(hop, senders[0])
    elif senders:
        names = " and ".join(repr(sender.name) for sender in senders)
        yield (
            f"after {described(after)} leads to {hop.table.name}, which {names} push; exactly one protocol must "
            "push it"
        )
    else:
        yield f"after {described(after)} leads to {hop.table.name}, which no protocol of the service pushes"
    if protocol.push is None:
        yield "after is given without push, but only pushed records can depend on others"
