"""A push in a process of its own: ``python -m benchmarks.push_process WAY DATABASE NODE PORT RECORDS BATCH_SIZE``.

It prints "ready", waits for a line, pushes, and prints the number of records sent and its peak memory in MiB.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from typing import Literal, TypeAlias

from sqlalchemy import Engine

from benchmarks.memory import peak_memory
from benchmarks.world import node_at
from workmesh_flows.adapters.store.engine import make_engine
from workmesh_flows.domain.node import Node

Way: TypeAlias = Literal["by_hand", "dlt", "ours"]


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of all processes: time from when all are ready, and the largest peak memory, in MiB."""

    seconds: float
    memory: float


def run(way: Way, engine: Engine, nodes: Sequence[Node], records: int, batch_size: int) -> Ran:
    """Run a process for each lane at the same time; ``records`` is the total."""
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.push_process", way, url]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, node.name, str(node.port), str(records // len(nodes)), str(batch_size)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for node in nodes
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        began = perf_counter()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        printed = [process.stdout.readline().split() for process in processes if process.stdout is not None]
        seconds = perf_counter() - began
    assert sum(int(sent) for sent, _ in printed) == records
    return Ran(seconds, max(float(memory) for _, memory in printed))


def main(way: str, database: str, node: str, port: str, *numbers: str) -> None:
    """The main function of such a process."""
    module, engine = import_module(f"benchmarks.push_{way}"), make_engine(database)
    with engine.connect():  # the pool keeps the connection
        print("ready", flush=True)
    sys.stdin.readline()
    records, batch_size = map(int, numbers)
    print(module.run(engine, node_at(int(port), node), records, batch_size), peak_memory(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
