"""Assign against one bulk UPDATE of the same rows, and status against the bare counts."""

from __future__ import annotations

from time import perf_counter

from sqlalchemy import Engine, text

from benchmarks.world import SERVICE, fill, service
from workmesh_flows import Mesh
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.assign import assign
from workmesh_flows.operations.status import read_status

ENTITIES, RECORDS = 200_000, 500_000
BARE = (
    "SELECT a.node, count(*), count(*) FILTER (WHERE r.push_success IS NOT TRUE), "
    "count(*) FILTER (WHERE r.push_success IS FALSE) "
    "FROM record r JOIN account a ON a.id = r.account_id GROUP BY a.node"
)


def measure(engine: Engine, node: Node) -> None:
    """Print rows a second and the ratio of the times (theirs over ours), best of three turns each."""
    inventory = Inventory({node.name: node})
    best = {"bulk": float("inf"), "assign": float("inf")}
    for _ in range(3):
        fill(engine, accounts=ENTITIES, records=1, node=None)
        began = perf_counter()
        with engine.begin() as connection:
            connection.execute(text("UPDATE account SET node = 'n1' WHERE node IS NULL"))
        best["bulk"] = min(best["bulk"], perf_counter() - began)
        fill(engine, accounts=ENTITIES, records=1, node=None)
        began = perf_counter()
        assert assign(engine, service(500), inventory).total == ENTITIES
        best["assign"] = min(best["assign"], perf_counter() - began)
    _print("assign", ENTITIES, best["bulk"], best["assign"])

    fill(engine, accounts=200, records=RECORDS)
    best = {"bare": float("inf"), "status": float("inf")}
    mesh = Mesh([service(500)])
    for _ in range(3):
        began = perf_counter()
        with engine.connect() as connection:
            assert connection.execute(text(BARE)).one()[1] == RECORDS
            connection.execute(text("SELECT node, count(*) FROM account GROUP BY node")).all()
        best["bare"] = min(best["bare"], perf_counter() - began)
        began = perf_counter()
        counts = read_status(engine, mesh, inventory).counts
        best["status"] = min(best["status"], perf_counter() - began)
        assert (counts[0].service, counts[0].pending) == (SERVICE, RECORDS)
    _print("status", RECORDS, best["bare"], best["status"])


def _print(title: str, rows: int, theirs: float, ours: float) -> None:
    print(f"{title:32}{rows / theirs:12,.0f}{rows / ours:12,.0f}{theirs / ours:9.2f}")
