"""A push with nothing pending, compared with an empty Prefect flow: 4 protocols over 5, 50 and 1,000 nodes.

``python -m benchmarks.idle DATABASE PORT`` does the work, in a process whose environment names a temporary home for
Prefect; it prints what it measured as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from prefect import flow
from pydantic import SecretStr
from sqlalchemy import Engine, text

from benchmarks.idle_world import NODES, PROTOCOLS, fill, mesh_of
from benchmarks.push_prefect import environment
from benchmarks.table import print_header, print_line
from workmesh_flows.adapters.store.engine import make_engine
from workmesh_flows.domain.node import Node

TURNS = 3


def measure(engine: Engine, node: Node) -> None:
    """Print the milliseconds of both flows, and their ratio."""
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.idle", url, str(node.port)]
    with tempfile.TemporaryDirectory(prefix="workmesh-bench-prefect-") as home:
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment(home))
    print_header("a run with nothing to do, milliseconds")
    for nodes, empty, idle in json.loads(ended.stdout.splitlines()[-1]):
        title = f"{nodes:,} nodes x {PROTOCOLS} protocols; an empty flow"
        print_line(title, 1000 * empty, 1000 * idle, most=2)


@flow
def nothing() -> None:
    """Do nothing."""


def main(database: str, port: str) -> None:
    """Run both flows over few, more and many nodes."""
    from workmesh_flows.blocks import WorkmeshNode
    from workmesh_flows.demo.server import prefect_server
    from workmesh_flows.flows import service_flows
    from workmesh_flows.inventory.bulk_write import writing_nodes

    engine, mesh = make_engine(database), mesh_of(database)
    push: Any = service_flows(mesh, mesh.services[0].name, module=__name__).push
    measured = []
    with prefect_server(Path(os.environ["PREFECT_HOME"])):
        for nodes in NODES:
            names = [f"n{number:04}" for number in range(nodes)]
            with writing_nodes() as write:
                for name in names:
                    key = SecretStr(f"the key of {name}")
                    services = [service.name for service in mesh.services]
                    write(
                        name, WorkmeshNode(host="127.0.0.1", port=int(port), api_key=key, services=services)
                    )
            fill(engine, mesh, names)
            push()  # it probes the nodes, and publishes
            empty, idle = float("inf"), float("inf")
            for _ in range(TURNS):
                empty = min(empty, _seconds(nothing))
                with engine.begin() as connection:
                    connection.execute(text("UPDATE workmesh_probes SET probed_at = now()"))
                idle = min(idle, _seconds(push))
            measured.append((nodes, empty, idle))
    print(json.dumps(measured))


def _seconds(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
