"""The tables of release 0.1.0."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Integer, String, Text

revision = "0001"
down_revision = None

NAME = String(255)
TIME = DateTime(timezone=True)
LANE = ("service", "protocol", "node")


def upgrade() -> None:
    """Create the tables that are missing: release 0.1.0 stored no version, and created them one by one."""
    _create(
        "lanes",
        *_key(*LANE),
        Column("direction", String(8), primary_key=True),
        Column("epoch", BigInteger, nullable=False),
        Column("holder", NAME),
        Column("lease_until", TIME),
        Column("breaker", String(9), nullable=False),
        Column("failures", Integer, nullable=False),
        Column("retry_at", TIME),
        Column("last_failure", Text),
        Column("batch_limit", Integer),
        Column("next_batch", Integer),
        Column("done", BigInteger, nullable=False),
        Column("refused", BigInteger, nullable=False),
        Column("last_push_time", TIME),
        Column("latest_id", NAME),
        Column("latest_time", TIME),
    )
    _create(
        "services", *_key("service"), Column("revision", BigInteger, nullable=False), Column("position", NAME)
    )
    _create(
        "parked",
        *_key("service", "protocol", "record"),
        Column("owner", NAME, nullable=False),
        Column("state", String(8), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("reason", Text, nullable=False),
        Column("since", TIME, nullable=False),
    )
    _create("replays", *_key("service", "protocol", "record"), Column("replayed_at", TIME, nullable=False))
    _create("failure_marks", *_key(*LANE), Column("mark", NAME, nullable=False))
    _create("former_pushes", *_key(*LANE, "record"), Column("push_time", TIME, nullable=False))
    _create(
        "missing",
        *_key(*LANE, "record"),
        Column("push_time", TIME, nullable=False),
        Column("again", Boolean, nullable=False),
    )
    _create(
        "moves",
        Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
        Column("service", NAME, nullable=False),
        Column("entity", NAME, nullable=False),
        Column("source", NAME, nullable=False),
        Column("target", NAME, nullable=False),
        Column("why", NAME, nullable=False),
        Column("weight", BigInteger, nullable=False),
        Column("again", BigInteger, nullable=False),
        Column("moved_at", TIME, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("plan", NAME),
    )
    op.create_index("ix_workmesh_moves_service", "workmesh_moves", ["service"], if_not_exists=True)
    _create(
        "plans",
        *_key("id"),
        Column("service", NAME, nullable=False),
        Column("kind", NAME, nullable=False),
        Column("state", NAME, nullable=False),
        Column("planned_at", TIME, nullable=False),
        Column("body", Text, nullable=False),
    )
    _create(
        "conditions",
        *_key("kind", "subject"),
        Column("since", TIME, nullable=False),
        Column("detail", Text, nullable=False),
    )


def _create(name: str, *columns: Column[Any]) -> None:
    op.create_table(f"workmesh_{name}", *columns, if_not_exists=True)


def _key(*names: str) -> list[Column[Any]]:
    return [Column(name, NAME, primary_key=True) for name in names]
