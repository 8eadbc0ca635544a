"""The Workmesh tables, in the user's database, so that they commit together with the flags."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Identity,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    and_,
    insert,
    literal,
    select,
)
from sqlalchemy.exc import IntegrityError

from workmesh_flows.adapters.store.values import UtcDateTime

NAME_LENGTH = 255
"""Characters of a name or of a key as text; SQLite does not enforce the limit."""


own = MetaData()


def _key(*names: str) -> list[Column[str]]:
    """Columns of a primary key, each a name or a key as text."""
    return [Column(name, String(NAME_LENGTH), primary_key=True) for name in names]


versions = Table(
    "workmesh_schema",
    own,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="workmesh_schema_pkc"),
)
"""One row: the version of these tables. It is the version table of Alembic, which gives column and key their names."""

lanes = Table(
    "workmesh_lanes",
    own,
    *_key("service", "protocol", "node"),
    Column("direction", String(8), primary_key=True, comment="push or pull"),
    Column("epoch", BigInteger, nullable=False, default=0, comment="rises each time the lane is acquired"),
    Column("holder", String(NAME_LENGTH), comment="the run that holds the lane, null when none does"),
    Column("lease_until", UtcDateTime, comment="when the lease expires if the holder does not renew it"),
    Column("breaker", String(9), nullable=False, default="closed", comment="closed, open or half-open"),
    Column("failures", Integer, nullable=False, default=0, comment="consecutive failures of the node"),
    Column(
        "retry_at", UtcDateTime, comment="no request before: the node asked for it, or the breaker is open"
    ),
    Column("last_failure", Text, comment="the reason of the last failure"),
    Column("batch_limit", Integer, comment="the largest batch the node takes, null when it refused none"),
    Column("next_batch", Integer, comment="a smaller size, after a batch with which the connection was lost"),
    Column(
        "done",
        BigInteger,
        nullable=False,
        default=0,
        comment="all records ever pushed or pulled in this lane",
    ),
    Column("refused", BigInteger, nullable=False, default=0, comment="all refusals ever in this lane"),
    Column("last_push_time", UtcDateTime, comment="the latest push time given in this lane"),
    Column("latest_id", String(NAME_LENGTH), comment="the record that the node named last as processed"),
    Column("latest_time", UtcDateTime, comment="when that record was pushed"),
    Column(
        "settled_at",
        UtcDateTime,
        comment="of a pull: when the failures were read to the end, after the node's queue was empty",
    ),
)
"""One row per lane: its lease, its circuit breaker, and what the next run must know before its first request."""

services = Table(
    "workmesh_services",
    own,
    Column("service", String(NAME_LENGTH), primary_key=True),
    Column(
        "revision",
        BigInteger,
        nullable=False,
        default=0,
        comment="rises when entities get another node or a refused record is decided on",
    ),
    Column("position", String(NAME_LENGTH), comment="the node that round robin assigned last"),
)
"""One row per service: assignment runs of the service update it first, and so wait for each other.

A run that assigned no entity leaves the values unchanged.
"""

counts = Table(
    "workmesh_counts",
    own,
    *_key("service", "protocol"),
    Column(
        "direction",
        String(8),
        primary_key=True,
        comment="of the lanes that count its processed records: pull, or push where no results are pulled",
    ),
    Column(
        "correction",
        BigInteger,
        nullable=False,
        default=0,
        comment="processed records that no lane counted, less those that were deleted or made pending again",
    ),
    Column("since", UtcDateTime, comment="of the first exact count"),
    Column("counted_at", UtcDateTime, comment="of the last exact count, null before the first one"),
)
"""One row per protocol: its processed records are the sum of ``done`` over its lanes, plus the correction."""

open_counts = Table(
    "workmesh_open",
    own,
    *_key("service", "protocol"),
    Column("node", String(NAME_LENGTH), primary_key=True, comment="empty for entities without a node"),
    Column("owned", Boolean, primary_key=True, comment="false for records without an entity"),
    Column("pending", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("in_flight", BigInteger, nullable=False),
    Column("unprocessed", BigInteger, nullable=False, comment="failed records in flight"),
    Column("missing", BigInteger, nullable=False),
)
"""Open records of each node as they were counted last: runs of other services show them without counting again.

Each protocol that was counted has a row without a node.
"""

parked = Table(
    "workmesh_parked",
    own,
    *_key("service", "protocol"),
    Column(
        "record", String(NAME_LENGTH), primary_key=True, comment="its id, as the database casts it to text"
    ),
    Column("owner", String(NAME_LENGTH), nullable=False, comment="the key of its entity, cast likewise"),
    Column(
        "state",
        String(8),
        nullable=False,
        comment="trying, parked, blocking or skipped; failed or replayed",
    ),
    Column("attempts", Integer, nullable=False, comment="number of refusals, 1 for a failed record"),
    Column("reason", Text, nullable=False, comment="of the last refusal or failure"),
    Column("since", UtcDateTime, nullable=False, comment="of the first refusal, the failure or the replay"),
)
"""Refused records that were not pushed since, and records that their node could not process: state and last reason."""

replays = Table(
    "workmesh_replays",
    own,
    *_key("service", "protocol"),
    Column("record", String(NAME_LENGTH), primary_key=True, comment="its id, as in workmesh_parked"),
    Column("replayed_at", UtcDateTime, nullable=False, comment="part of the Idempotency-Key"),
)
"""Failed records that are pending again: until its node has accepted one, it is sent with a key of its replay."""

failure_marks = Table(
    "workmesh_failure_marks",
    own,
    *_key("service", "protocol", "node"),
    Column("mark", String(NAME_LENGTH), nullable=False, comment="as the node gave it"),
)
"""How far the failures of each lane were read from its node."""

former_pushes = Table(
    "workmesh_former_pushes",
    own,
    *_key("service", "protocol", "node", "record"),
    Column("push_time", UtcDateTime, nullable=False, comment="when it was pushed to that node"),
)
"""Records that were in flight when their entity moved: the node that it left may still name them as processed."""

missing = Table(
    "workmesh_missing",
    own,
    *_key("service", "protocol"),
    Column("node", String(NAME_LENGTH), primary_key=True, comment="the node that does not have it"),
    Column(
        "record", String(NAME_LENGTH), primary_key=True, comment="its id, as the database casts it to text"
    ),
    Column("push_time", UtcDateTime, nullable=False, comment="of the push that the node does not have"),
    Column(
        "again",
        Boolean,
        nullable=False,
        default=False,
        comment="whether the record was made pending again for this node, which happens once",
    ),
)
"""Records that were pushed, and that a node was asked for and does not have, although it processed later ones."""

moves = Table(
    "workmesh_moves",
    own,
    # Unlike a serial's sequence, an identity's needs no privilege of its own.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("service", String(NAME_LENGTH), nullable=False, index=True),
    Column("entity", String(NAME_LENGTH), nullable=False),
    Column("source", String(NAME_LENGTH), nullable=False, comment="the node before the move"),
    Column("target", String(NAME_LENGTH), nullable=False, comment="the node after the move"),
    Column("why", String(NAME_LENGTH), nullable=False),
    Column("weight", BigInteger, nullable=False, default=1),
    Column("again", BigInteger, nullable=False, default=0, comment="records made pending again"),
    Column("moved_at", UtcDateTime, nullable=False),
    Column("epoch", BigInteger, nullable=False, comment="the service's revision after this move"),
    Column("plan", String(NAME_LENGTH), comment="the id of the plan that contains it"),
)
"""The move log: one row per move of an entity, written in the transaction of the move."""

plans = Table(
    "workmesh_plans",
    own,
    Column(
        "id",
        String(NAME_LENGTH),
        primary_key=True,
        comment="made of its kind and the fingerprint of its input",
    ),
    Column("service", String(NAME_LENGTH), nullable=False),
    Column("kind", String(NAME_LENGTH), nullable=False, comment="rebalance or drain"),
    Column("state", String(NAME_LENGTH), nullable=False, comment="planned, applying or applied"),
    Column("planned_at", UtcDateTime, nullable=False),
    Column("body", Text, nullable=False, comment="the plan and the facts that it was made from, as JSON"),
)
"""Saved plans: applied unchanged, or refused where the facts that they were made from have changed."""

conditions = Table(
    "workmesh_conditions",
    own,
    Column("kind", String(NAME_LENGTH), primary_key=True, comment="lane stopped, node unreachable, ..."),
    Column("subject", String(NAME_LENGTH), primary_key=True, comment="the lane, node, record or service"),
    Column("since", UtcDateTime, nullable=False),
    Column("detail", Text, nullable=False, comment="the reason that was reported last"),
)
"""Conditions that need attention: saved so that one event is sent at their start and one at their end, not by every run."""

probes = Table(
    "workmesh_probes",
    own,
    Column("node", String(NAME_LENGTH), primary_key=True),
    Column("revision", String(NAME_LENGTH), nullable=False, comment="of the node's block that was used"),
    Column("reachable", Boolean, nullable=False),
    Column("works", Boolean, nullable=False, comment="whether it accepted the ping"),
    Column("version", Text, nullable=False, comment="of the micro-service"),
    Column("problem", Text, nullable=False, comment="why a request failed, empty if none did"),
    Column("workload", BigInteger, comment="the length of its queue, null where the node does not report it"),
    Column("probed_at", UtcDateTime, nullable=False, comment="before the first request of the probe"),
)
"""The last probe of each node: a run uses it while it is recent, so that runs of many services do not all probe."""

published = Table(
    "workmesh_published",
    own,
    Column("server", String(64), primary_key=True, comment="a digest of the Prefect server's address"),
    Column("key", String(NAME_LENGTH), primary_key=True, comment="of the artifact"),
    Column("digest", String(64), nullable=False, comment="of its content, without times"),
    Column("published_at", UtcDateTime, nullable=False),
)
"""What was published last under each key: a run publishes nothing in which only the time has changed."""


def place_own_tables(schema: str | None) -> None:
    """Look for the Workmesh tables in this schema of PostgreSQL; None is the default schema of the database.

    This holds for the whole process and all its engines, like the setting that names the schema.
    """
    own.schema = schema
    for table in own.sorted_tables:
        table.schema = schema


def ensure_row(engine: Engine, table: Table, **key: str) -> None:
    """Insert a row with this key and default values into a Workmesh table, unless it exists."""
    has_key = and_(*(table.c[name] == value for name, value in key.items()))
    with engine.connect() as connection:
        if connection.execute(select(literal(1)).select_from(table).where(has_key)).first() is not None:
            return
    try:
        with engine.begin() as connection:
            connection.execute(insert(table).values(**key))
    except IntegrityError:  # another run was first
        return
