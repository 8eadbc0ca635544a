"""The size of Prefect's database: before and after many runs of which most had nothing to do, and after a prune.

``python -m benchmarks.history [RUNS] [FLOW]`` runs a flow of a service, sync or push. It starts a PostgreSQL server for the master's database, a Prefect server with its own
SQLite file, and a fast node under five names. The last of each hundred runs has records to push. The runs follow each other at once,
and after each one the saved times are set back by a minute, as if there was one run a minute.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from benchmarks.world import SERVICE, deal, fast_node, fill, postgresql, service
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.schema import own
from workmesh_flows.domain.node import Node

RUNS, BUSY_EACH, NODES, RECORDS = 1_000, 100, 5, 500
SETTLED = 12.0
"""Seconds after which Prefect's server has written all events, and deleted the logs of deleted runs."""
MINUTES_A_DAY = 1_440
MEGABYTE = 1_000_000
LARGEST = 8
AGED = {
    "workmesh_published": "UPDATE workmesh_published SET published_at = published_at - interval '1 minute'",
    "workmesh_probes": "UPDATE workmesh_probes SET probed_at = probed_at - interval '1 minute'",
}
"""For the tables with the time of the last publication or probe: how a minute passes."""


def main(runs: int, action: str) -> None:
    """Run the flow, prune, and print the sizes."""
    with (
        tempfile.TemporaryDirectory(prefix="workmesh-bench-prefect-") as home,
        postgresql() as engine,
        fast_node() as node,
    ):
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            del os.environ[name]
        # Read when Prefect is imported, which is below.
        os.environ |= {"PREFECT_HOME": home, "PREFECT_LOGGING_LEVEL": "INFO", "DO_NOT_TRACK": "1"}
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "ERROR"
        _measure(engine, node, Path(home), runs, action)


def _measure(engine: Engine, node: Node, home: Path, runs: int, action: str) -> None:
    from workmesh_flows.adapters.store.engine import utc_now
    from workmesh_flows.demo.server import prefect_server
    from workmesh_flows.flows import service_flows
    from workmesh_flows.runs.prune import prune_server

    file = home / "prefect.db"
    mesh = Mesh([service(500)], database=lambda: engine)
    fill(engine, accounts=200, records=RECORDS)
    names = [f"n{number}" for number in range(1, NODES + 1)]
    deal(engine, names)
    flow: Any = getattr(service_flows(mesh, SERVICE, module=__name__), action)
    with prefect_server(home):
        _register(names, node.port)
        flow()  # it pushes all records
        time.sleep(SETTLED)
        before = _in_use(file)
        began = time.perf_counter()
        for number in range(runs):
            if number % BUSY_EACH == BUSY_EACH - 1:
                _make_pending(engine)
            flow()
            _age(engine)
        seconds = time.perf_counter() - began
        time.sleep(SETTLED)
        after = _in_use(file)
        print(
            f"{runs:,} runs of {action}, {runs // BUSY_EACH:,} of them with records, {seconds / runs:.2f} s each"
        )
        _print_size("before the runs", before)
        _print_size("after the runs", after)
        a_run = (after - before) / runs
        print(f"{'a run':32}{a_run / 1_000:12,.1f} kB")
        print(f"{'a day of one run a minute':32}{a_run * MINUTES_A_DAY / MEGABYTE:12,.1f} MB")
        for table, size in _largest(file):
            _print_size(f"  {table}", size)
        for name, number in _read(file, "SELECT event, count(*) FROM events GROUP BY event ORDER BY 2 DESC"):
            print(f"  {name:40}{number / runs:8,.1f} events a run")
        deleted = Counter[str]()
        began = time.perf_counter()
        for batch in prune_server(mesh, utc_now(), dry_run=False):
            deleted[batch.kind] += batch.number
        seconds = time.perf_counter() - began
        print(f"pruned {dict(deleted)} in {seconds:.1f} s")
        time.sleep(SETTLED)
        _print_size("in use after the prune", _in_use(file))
        for table, size in _largest(file):
            _print_size(f"  {table}", size)
    _print_size("the file after the prune", file.stat().st_size)
    with sqlite3.connect(file) as connection:
        connection.execute("VACUUM")
    connection.close()
    _print_size("the file after VACUUM", file.stat().st_size)


def _register(names: list[str], port: int) -> None:
    from pydantic import SecretStr

    from workmesh_flows.blocks import WorkmeshNode

    for name in names:
        WorkmeshNode(host="127.0.0.1", port=port, api_key=SecretStr("a-key"), services=[SERVICE]).save(name)


def _make_pending(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE record SET push_time = NULL, push_success = NULL"))


def _age(engine: Engine) -> None:
    """Let a minute pass for what runs have saved about themselves."""
    with engine.begin() as connection:
        for table, statement in AGED.items():
            if table in own.tables:
                connection.execute(text(statement))


def _in_use(file: Path) -> int:
    """Bytes of the pages in use; the file keeps the free ones for later rows."""
    pages = _read(file, "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count")
    size = _read(file, "SELECT page_size FROM pragma_page_size")
    return int(pages[0][0]) * int(size[0][0])


def _largest(file: Path) -> list[tuple[str, int]]:
    """The largest tables, with their indexes, and their bytes."""
    return _read(
        file,
        "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master USING (name) "
        "GROUP BY tbl_name ORDER BY 2 DESC",
    )[:LARGEST]


def _read(file: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=60)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _print_size(what: str, size: int) -> None:
    print(f"{what:32}{size / MEGABYTE:12,.1f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS, *(sys.argv[2:3] or ["sync"]))
