"""Assign compared with one bulk UPDATE of the same rows, and status compared with the bare counts."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

from sqlalchemy import Engine, text

from benchmarks.world import SERVICE, fill, service
from workmesh_flows import Mesh
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.check import check_mesh, missing_ddl
from workmesh_flows.operations.status import read_status

ASSIGNED, RECORDS, NODES = (200_000, 1_000_000), 1_000_000, 100
BARE = (
    "SELECT a.node, count(*), count(*) FILTER (WHERE r.push_success IS NOT TRUE), "
    "count(*) FILTER (WHERE r.push_success IS FALSE) "
    "FROM record r JOIN account a ON a.id = r.account_id GROUP BY a.node"
)


def measure(engine: Engine, node: Node) -> None:
    """Print rows per second and the ratio of the times (baseline over Workmesh), each the best of three turns."""
    for entities in ASSIGNED:
        best = {"bulk": float("inf"), "assign": float("inf")}
        for _ in range(3):
            fill(engine, accounts=entities, records=1, node=None)
            began = perf_counter()
            with engine.begin() as connection:
                connection.execute(text("UPDATE account SET node = 'n1' WHERE node IS NULL"))
            best["bulk"] = min(best["bulk"], perf_counter() - began)
            seconds, memory = _assign(engine, entities)
            best["assign"] = min(best["assign"], seconds)
        _print(f"assign {entities:,}, peak {memory:,.0f} MiB", entities, best["bulk"], best["assign"])

    measure_status(engine, node)


def measure_status(engine: Engine, node: Node) -> None:
    """The same for status, in turns, with the indexes that `workmesh check` recommends, for the bare counts too."""
    inventory, mesh = Inventory({node.name: node}), Mesh([service(500)])
    fill(engine, accounts=200, records=RECORDS)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in missing_ddl(check_mesh(engine, mesh)):
            connection.execute(text(statement))
        connection.execute(text("VACUUM ANALYZE"))
    assert not check_mesh(engine, mesh)
    best = {"bare": float("inf"), "status": float("inf")}
    for _ in range(5):
        began = perf_counter()
        with engine.connect() as connection:
            assert connection.execute(text(BARE)).one()[1] == RECORDS
            connection.execute(text("SELECT node, count(*) FROM account GROUP BY node")).all()
        best["bare"] = min(best["bare"], perf_counter() - began)
        began = perf_counter()
        counts = read_status(engine, mesh, inventory).counts
        best["status"] = min(best["status"], perf_counter() - began)
        assert (counts[0].service, counts[0].pending) == (SERVICE, RECORDS)
    _print(f"status {RECORDS:,}", RECORDS, best["bare"], best["status"])


def _assign(engine: Engine, entities: int) -> tuple[float, float]:
    """Assign in a separate process; returns the seconds, and its peak memory in MiB."""
    fill(engine, accounts=entities, records=1, node=None)
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.assigner", url, str(NODES)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    total, seconds, memory = map(float, ended.stdout.split())
    assert total == entities
    return seconds, memory


def _print(title: str, rows: int, theirs: float, ours: float) -> None:
    print(f"{title:32}{rows / theirs:12,.0f}{rows / ours:12,.0f}{theirs / ours:9.2f}")
