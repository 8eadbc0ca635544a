"""Plans and the move log as tables, for artifacts, the command line and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from workmesh_flows.adapters.store.moves import read_moves
from workmesh_flows.planning.stored_plan import StoredPlan

if TYPE_CHECKING:
    from sqlalchemy import Engine

MOVE_COLUMNS = ("entity", "from", "to", "weight", "why", "gain", "wave", "service")
BALANCE_COLUMNS = ("node", "entities", "entities after", "weight", "weight after", "used", "used after")
LOG_COLUMNS = {
    "moved_at": "at",
    "service": "service",
    "entity": "entity",
    "source": "from",
    "target": "to",
    "why": "why",
    "weight": "weight",
    "again": "records to push",
    "epoch": "epoch",
    "plan": "plan",
}
"""Columns of the move log in the database, and their titles in the table."""


def moves_table(plans: Sequence[StoredPlan]) -> pd.DataFrame:
    """One row per move, in the order in which the moves are made.

    ``gain`` is how much closer the move brings its two nodes to their even share, in the unit of the weight.
    """
    rows = [
        (
            str(move.entity),
            move.source,
            move.target,
            move.weight,
            move.why,
            round(move.gain, 1),
            move.wave,
            plan.service,
        )
        for plan in plans
        for move in plan.plan.moves
    ]
    return pd.DataFrame(rows, columns=list(MOVE_COLUMNS))


def balance_table(plan: StoredPlan) -> pd.DataFrame:
    """One row per node, before and after the plan; ``used`` is the share of the cap that is in use."""
    rows = [
        (
            node.node,
            node.entities,
            node.entities_after,
            node.weight,
            node.weight_after,
            _rounded(node.share()),
            _rounded(node.share(after=True)),
        )
        for node in plan.plan.nodes
    ]
    return pd.DataFrame(rows, columns=list(BALANCE_COLUMNS), dtype=object)


def move_log(engine: Engine, *, limit: int) -> pd.DataFrame:
    """The latest moves, newest first; ``records to push`` are those that each move made pending again."""
    made = pd.DataFrame(read_moves(engine, limit=limit), columns=list(LOG_COLUMNS), dtype=object)
    return made.rename(columns=LOG_COLUMNS)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 3)
