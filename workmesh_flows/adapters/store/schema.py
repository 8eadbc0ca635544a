"""The tables of our own, beside the user's, so that they commit together with the flags."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    insert,
    inspect,
    literal,
    select,
)
from sqlalchemy.exc import DBAPIError, IntegrityError

from workmesh_flows.adapters.store.values import UtcDateTime

NAME_LENGTH = 255


own = MetaData()

lanes = Table(
    "workmesh_lanes",
    own,
    Column("service", String(NAME_LENGTH), primary_key=True),
    Column("protocol", String(NAME_LENGTH), primary_key=True),
    Column("node", String(NAME_LENGTH), primary_key=True),
    Column("direction", String(8), primary_key=True, comment="push or pull"),
    Column("epoch", BigInteger, nullable=False, default=0, comment="rises each time the lane is taken"),
    Column("holder", String(NAME_LENGTH), comment="the run that works the lane, null when none does"),
    Column("lease_until", UtcDateTime, comment="when the holder loses the lane if it stays silent"),
    Column("breaker", String(9), nullable=False, default="closed", comment="closed, open or half-open"),
    Column("failures", Integer, nullable=False, default=0, comment="times in a row that the node was away"),
    Column(
        "retry_at", UtcDateTime, comment="no request before: the node asked for it, or the breaker is open"
    ),
    Column("last_failure", Text, comment="why the node was away, the last time"),
    Column("batch_limit", Integer, comment="the largest batch the node takes, null when it never complained"),
    Column("next_batch", Integer, comment="a smaller one, after a batch with which the node went away"),
    Column(
        "done", BigInteger, nullable=False, default=0, comment="records pushed or pulled in this lane, ever"
    ),
    Column("refused", BigInteger, nullable=False, default=0, comment="refusals in this lane, ever"),
    Column("last_push_time", UtcDateTime, comment="the latest push time given in this lane"),
    Column("latest_id", String(NAME_LENGTH), comment="the record that the node named last as processed"),
    Column("latest_time", UtcDateTime, comment="when that record was pushed"),
)
"""One row a lane and direction: who works it, and what must be known before the next request."""

services = Table(
    "workmesh_services",
    own,
    Column("service", String(NAME_LENGTH), primary_key=True),
    Column(
        "revision", BigInteger, nullable=False, default=0, comment="rises each time entities get another node"
    ),
    Column("position", String(NAME_LENGTH), comment="the node that round robin gave last"),
)
"""One row a service: updating it is what makes assignment runs wait for each other.

A run that gave no entity a node leaves the row as it was.
"""

parked = Table(
    "workmesh_parked",
    own,
    Column("service", String(NAME_LENGTH), primary_key=True),
    Column("protocol", String(NAME_LENGTH), primary_key=True),
    Column(
        "record", String(NAME_LENGTH), primary_key=True, comment="its id, as the database writes it as text"
    ),
    Column("owner", String(NAME_LENGTH), nullable=False, comment="its entity's key, in the same way"),
    Column("state", String(8), nullable=False, comment="trying, parked, blocking or skipped"),
    Column("attempts", Integer, nullable=False, comment="times that it was refused"),
    Column("reason", Text, nullable=False, comment="of the last refusal"),
    Column("since", UtcDateTime, nullable=False, comment="of the first refusal"),
)
"""Records that were refused and not pushed since: how often, and what is to become of them."""

former_pushes = Table(
    "workmesh_former_pushes",
    own,
    Column("service", String(NAME_LENGTH), primary_key=True),
    Column("protocol", String(NAME_LENGTH), primary_key=True),
    Column("node", String(NAME_LENGTH), primary_key=True),
    Column("record", String(NAME_LENGTH), primary_key=True),
    Column("push_time", UtcDateTime, nullable=False, comment="when it was pushed to that node"),
)
"""Records that were on their way when their entity moved: the node they left may still name them as processed."""

moves = Table(
    "workmesh_moves",
    own,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("service", String(NAME_LENGTH), nullable=False, index=True),
    Column("entity", String(NAME_LENGTH), nullable=False),
    Column("source", String(NAME_LENGTH), nullable=False, comment="the node that it left"),
    Column("target", String(NAME_LENGTH), nullable=False, comment="the node that has it since"),
    Column("why", String(NAME_LENGTH), nullable=False),
    Column("weight", BigInteger, nullable=False, default=1),
    Column("again", BigInteger, nullable=False, default=0, comment="records to be pushed again"),
    Column("moved_at", UtcDateTime, nullable=False),
    Column("epoch", BigInteger, nullable=False, comment="the service's revision with this move"),
    Column("plan", String(NAME_LENGTH), comment="the plan it was a part of"),
)
"""The move log: a row for each entity that changed its node, written with the change."""

plans = Table(
    "workmesh_plans",
    own,
    Column(
        "id", String(NAME_LENGTH), primary_key=True, comment="of its kind and the fingerprint of its input"
    ),
    Column("service", String(NAME_LENGTH), nullable=False),
    Column("kind", String(NAME_LENGTH), nullable=False, comment="rebalance or drain"),
    Column("state", String(NAME_LENGTH), nullable=False, comment="planned, applying or applied"),
    Column("planned_at", UtcDateTime, nullable=False),
    Column("body", Text, nullable=False, comment="the plan and the facts it was made from, as JSON"),
)
"""Plans, as they were made: applied as they stand, or refused when what they were made from has changed."""

conditions = Table(
    "workmesh_conditions",
    own,
    Column("kind", String(NAME_LENGTH), primary_key=True, comment="lane stopped, node unreachable, ..."),
    Column("subject", String(NAME_LENGTH), primary_key=True, comment="the lane, node, record or service"),
    Column("since", UtcDateTime, nullable=False),
    Column("detail", Text, nullable=False, comment="what was said of it when it began"),
)
"""What holds and needs somebody: kept so that an event is sent when it begins and when it is over, not by every run."""


def ensure_row(engine: Engine, table: Table, **key: str) -> None:
    """Have a row of ours under a key, its other columns at their defaults."""
    same = and_(*(table.c[name] == value for name, value in key.items()))
    with engine.connect() as connection:
        if connection.execute(select(literal(1)).select_from(table).where(same)).first() is not None:
            return
    try:
        with engine.begin() as connection:
            connection.execute(insert(table).values(**key))
    except IntegrityError:  # another run was first
        return


def create_own_tables(engine: Engine) -> None:
    """Create what is missing; safe to call from several processes at once."""
    there = set(inspect(engine).get_table_names())
    for table in own.sorted_tables:
        if table.name in there:
            continue
        try:
            table.create(engine, checkfirst=True)
        except DBAPIError:
            if not inspect(engine).has_table(table.name):  # else another process was first
                raise
