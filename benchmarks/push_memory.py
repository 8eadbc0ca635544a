"""The peak memory of a new process, which must be the same for ten times as many records."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from benchmarks import push_process
from benchmarks.table import print_line
from benchmarks.world import fill
from workmesh_flows.domain.node import Node

SIZES = (100_000, 1_000_000)


def measure(engine: Engine, node: Node, sizes: Sequence[int] = SIZES) -> None:
    """Print the peak in MiB of a process that pushes few records and of one that pushes many, in batches of 500."""
    few, many = (_memory(engine, node, size) for size in sizes)
    print_line(f"MiB for {sizes[0]:,} (left), {sizes[1]:,} records", few, many, most=1.2)


def _memory(engine: Engine, node: Node, records: int) -> float:
    fill(engine, accounts=200, records=records)
    return push_process.run("ours", engine, [node], records, 500).memory
