"""Push compared with a hand-written loop, with dlt, and with Prefect with one task for each record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from time import perf_counter
from typing import TypeAlias

from sqlalchemy import Engine

from benchmarks import push_by_hand, push_memory, push_ours, push_prefect, push_process
from benchmarks.push_process import Way
from benchmarks.table import best_of, print_header, print_line
from benchmarks.world import NODE, deal, fast_node, fill, unflag
from workmesh_flows.domain.node import Node

RECORDS, ONE_BY_ONE, BATCH = 200_000, 8_000, 500
ORIGINAL = 750
"""Records per second of the Ruby original, one record per request; measured elsewhere."""

Run: TypeAlias = Callable[[Engine, Node, int, int | None], int]


def measure(engine: Engine, node: Node, *, records: int = RECORDS, one_by_one: int = ONE_BY_ONE) -> None:
    """Print all required results of push, in records per second unless a line names another unit."""
    print_header(f"push, {records:,} records of 400 bytes")
    fill(engine, accounts=200, records=records)
    _batches(engine, node, records)
    _one_by_one(engine, node, one_by_one)
    with fast_node("n2") as other:
        _two_lanes(engine, [node, other], records)
    push_memory.measure(engine, node)
    push_prefect.measure(engine, node)


def _batches(engine: Engine, node: Node, records: int) -> None:
    ways = (push_by_hand.run, push_by_hand.run_one_time, push_ours.run)
    runs = [_here(run, engine, [node], records, BATCH) for run in ways]
    if find_spec("dlt"):
        runs.append(_apart("dlt", engine, [node], records))
    hand, one_time, ours, *dlt = best_of(*runs)
    print_line("batches of 500, a loop by hand", hand, ours, least=0.75)
    print_line("batches of 500, by hand, one time per batch", one_time, ours)
    for theirs in dlt:
        print_line("batches of 500, dlt, which flags nothing", theirs, ours, least=2)


def _one_by_one(engine: Engine, node: Node, records: int) -> None:
    ways = (push_by_hand.run, push_ours.run)
    hand, ours = best_of(*(_here(run, engine, [node], records, None) for run in ways))
    print_line("one per request, a bare httpx.Client loop", hand, ours, least=0.85)
    print_line("one per request, the original, elsewhere", ORIGINAL, ours, least=1)


def _two_lanes(engine: Engine, nodes: Sequence[Node], records: int) -> None:
    """By hand in two threads and in two processes (the better counts); Workmesh in threads, as in a flow, and in processes."""
    deal(engine, [node.name for node in nodes])
    threads, one_time, processes, ours, apart = best_of(
        _here(push_by_hand.run, engine, nodes, records, BATCH),
        _here(push_by_hand.run_one_time, engine, nodes, records, BATCH),
        _apart("by_hand", engine, nodes, records),
        _here(push_ours.run, engine, nodes, records, BATCH),
        _apart("ours", engine, nodes, records),
    )
    hand, best_way = max((threads, "threads"), (processes, "processes"))
    print_line(f"two lanes, by hand in {best_way}; threads", hand, ours, least=0.75)
    print_line(f"two lanes, by hand in {best_way}; processes", hand, apart, least=0.75)
    print_line("two lanes, by hand in threads, one time", one_time, ours)
    deal(engine, [NODE])


def _here(
    run: Run, engine: Engine, nodes: Sequence[Node], records: int, batch_size: int | None
) -> Callable[[], float]:
    """Push in this process, with a thread for each lane."""

    def measured() -> float:
        unflag(engine, records)

        def lane(node: Node) -> int:
            return run(engine, node, records // len(nodes), batch_size)

        with ThreadPoolExecutor(len(nodes)) as pool:
            began = perf_counter()
            assert sum(pool.map(lane, nodes)) == records
            return records / (perf_counter() - began)

    return measured


def _apart(way: Way, engine: Engine, nodes: Sequence[Node], records: int) -> Callable[[], float]:
    """Push in separate processes, one for each lane."""

    def measured() -> float:
        unflag(engine, records)
        return records / push_process.run(way, engine, nodes, records, BATCH).seconds

    return measured
