"""Probes of nodes, what was published, and whether the failures of a lane were read to the end."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, String, Text

revision = "0002"
down_revision = "0001"

NAME = String(255)
TIME = DateTime(timezone=True)


def upgrade() -> None:
    """Add two tables, and a nullable column, which the release before does not use."""
    op.add_column("workmesh_lanes", Column("settled_at", TIME))
    op.create_table(
        "workmesh_probes",
        Column("node", NAME, primary_key=True),
        Column("revision", NAME, nullable=False),
        Column("reachable", Boolean, nullable=False),
        Column("works", Boolean, nullable=False),
        Column("version", Text, nullable=False),
        Column("problem", Text, nullable=False),
        Column("workload", BigInteger),
        Column("probed_at", TIME, nullable=False),
    )
    op.create_table(
        "workmesh_published",
        Column("server", String(64), primary_key=True),
        Column("key", NAME, primary_key=True),
        Column("digest", String(64), nullable=False),
        Column("published_at", TIME, nullable=False),
    )
