"""Corrections of processed records, and the last count of open ones."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, String

revision = "0003"
down_revision = "0002"

NAME = String(255)
TIME = DateTime(timezone=True)


def upgrade() -> None:
    """Without a row, a protocol is counted exactly by the next run."""
    op.create_table(
        "workmesh_counts",
        Column("service", NAME, primary_key=True),
        Column("protocol", NAME, primary_key=True),
        Column("direction", String(8), primary_key=True),
        Column("correction", BigInteger, nullable=False),
        Column("since", TIME),
        Column("counted_at", TIME),
    )
    op.create_table(
        "workmesh_open",
        Column("service", NAME, primary_key=True),
        Column("protocol", NAME, primary_key=True),
        Column("node", NAME, primary_key=True),
        Column("owned", Boolean, primary_key=True),
        Column("pending", BigInteger, nullable=False),
        Column("failed", BigInteger, nullable=False),
        Column("in_flight", BigInteger, nullable=False),
        Column("unprocessed", BigInteger, nullable=False),
        Column("missing", BigInteger, nullable=False),
    )
