"""The table of a prune."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from workmesh_flows.domain.pruned import PLACES, Pruned

PRUNE_COLUMNS = ("kind", "place", "number")


def prune_table(pruned: Sequence[Pruned]) -> pd.DataFrame:
    """One row per kind: where it is stored, and how many were deleted or would be deleted."""
    rows = [(one.kind, PLACES[one.kind], one.number) for one in pruned]
    return pd.DataFrame(rows, columns=list(PRUNE_COLUMNS))
