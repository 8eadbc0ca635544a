"""The last probe of each node, as the run or the command that probed it saved it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from workmesh_flows.adapters.store.engine import translated_errors
from workmesh_flows.adapters.store.keys import in_parts
from workmesh_flows.adapters.store.schema import NAME_LENGTH, probes
from workmesh_flows.adapters.store.values import stored_text

KEPT = timedelta(days=1)
"""How long the probe of a node is kept that nothing probes any more."""
LARGEST_WORKLOAD = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SavedProbe:
    """The result of a probe, the revision of the node's block that it used, and the time before its first request."""

    node: str
    revision: str
    reachable: bool
    works: bool
    version: str
    problem: str
    workload: int | None
    probed_at: datetime


def read_probes(engine: Engine) -> list[SavedProbe]:
    """All saved probes."""
    with translated_errors(), engine.connect() as connection:
        return [SavedProbe(**row) for row in connection.execute(select(probes)).mappings()]


def save_probes(engine: Engine, found: Sequence[SavedProbe]) -> None:
    """Replace the probes of these nodes, and delete those that are a day older.

    Nothing is saved where another run saves at the same time: its probes are as recent.
    """
    rows = [
        asdict(
            replace(
                each,
                version=stored_text(each.version),
                problem=stored_text(each.problem),
                workload=each.workload if _fits(each.workload) else None,
            )
        )
        for each in sorted(found, key=lambda each: each.node)
        if len(each.node) <= NAME_LENGTH
    ]
    if not rows:
        return
    oldest = min(each.probed_at for each in found) - KEPT
    with translated_errors(), suppress(IntegrityError), engine.begin() as connection:
        for some in in_parts(rows):
            connection.execute(delete(probes).where(probes.c.node.in_([row["node"] for row in some])))
        connection.execute(delete(probes).where(probes.c.probed_at < oldest))
        connection.execute(insert(probes), rows)


def _fits(workload: int | None) -> bool:
    return workload is None or 0 <= workload <= LARGEST_WORKLOAD
