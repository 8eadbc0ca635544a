"""A process that assigns entities and prints its peak memory: ``python -m benchmarks.assigner DATABASE NODES``."""

from __future__ import annotations

import sys
from time import perf_counter

from pydantic import SecretStr

from benchmarks.memory import peak_memory
from benchmarks.world import SERVICE, service
from workmesh_flows import Mesh
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.assignment.assign import assign


def inventory(nodes: int) -> Inventory:
    """Nodes n1, n2, ... without caps."""
    names = [f"n{number}" for number in range(1, nodes + 1)]
    return Inventory({name: Node(name, "127.0.0.1", SecretStr("k"), (SERVICE,)) for name in names})


def main(database: str, nodes: str) -> None:
    """Print the entities assigned, the seconds, and the peak of this process's memory in MiB."""
    engine, began = open_engine(database), perf_counter()
    total = assign(engine, Mesh([service(500)]), SERVICE, inventory(int(nodes))).total
    seconds = perf_counter() - began
    print(total, seconds, peak_memory())


if __name__ == "__main__":
    main(*sys.argv[1:])
