"""A soak, from its first record to its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Engine

from tests.reliability.soak.disruptions import Disruptions
from tests.reliability.soak.final_phase import record_end, settle
from tests.reliability.soak.lane_runs import Runs
from tests.reliability.soak.mail_mesh import SERVICE, count, create_database, mesh
from tests.reliability.soak.master import MasterOptions, limits_of
from tests.reliability.soak.masters import running_masters
from tests.reliability.soak.nodes import ProxiedNode, running_nodes
from tests.reliability.soak.run_log import UNEXPECTED, RunLog
from tests.reliability.soak.settings import Settings
from tests.reliability.soak.summary import SoakResult, summarize
from tests.reliability.soak.writer import Writer
from workmesh_flows.adapters.store.engine import make_engine
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.assignment.assign import assign
from workmesh_flows.testing import History, inventory_node

PROGRESS_SECONDS = 10.0


@dataclass(slots=True)
class _Progress:
    """Prints a line every PROGRESS_SECONDS."""

    engine: Engine
    print_line: Callable[[str], None]
    disruptions: Disruptions
    started: float
    last: float = 0.0

    def update(self) -> None:
        now = time.monotonic()
        if now - self.last < PROGRESS_SECONDS:
            return
        self.last = now
        counts = {name: count(self.engine, name) for name in ("written", "pushed", "pulled")}
        counts |= self.disruptions.counts
        self.print_line(
            f"{now - self.started:5.0f} s  " + "  ".join(f"{name} {n:,}" for name, n in counts.items())
        )


def soak(settings: Settings, database: str, folder: Path, print_line: Callable[[str], None]) -> SoakResult:
    """Run a soak; all processes that it starts are stopped in any case."""
    path, seconds = folder / "history.jsonl", {"with faults": settings.seconds}
    with ExitStack() as stack:
        engine = make_engine(database)
        stack.callback(engine.dispose)
        create_database(engine, settings.entities)
        history = stack.enter_context(History(path))
        log = RunLog(folder / "log.jsonl")
        stack.callback(log.close)
        nodes = stack.enter_context(running_nodes(settings, folder, history))
        runs = Runs(engine, history, log, limits_of(settings), [_inventory_entry(node) for node in nodes])
        assign(engine, mesh, SERVICE, Inventory({node.name: node for node in runs.nodes}))
        print_line(
            f"seed {settings.seed}: {settings.nodes} nodes are running; history and logs are in {folder}"
        )
        options = MasterOptions(settings, database, path, log.path, runs.nodes)
        with running_masters(settings, options) as masters:
            disruptions = Disruptions(settings, engine, log, nodes, masters)
            progress = _Progress(engine, print_line, disruptions, time.monotonic())
            _run_with_faults(settings, Writer(engine, history, settings), disruptions, progress)
        started = time.monotonic()
        print_line("faults end, all nodes are running, and the remaining records are pushed and pulled")
        problems = settle(runs, nodes, settings, progress.update)
        seconds["to finish"] = time.monotonic() - started
        record_end(history, engine, nodes)
        problems += log.of(UNEXPECTED)
    return summarize(path, settings.seed, seconds, disruptions.counts, log.counts(), problems)


def _inventory_entry(node: ProxiedNode) -> Node:
    return inventory_node(node.process, SERVICE, port=node.proxy.port)


def _run_with_faults(
    settings: Settings, writer: Writer, disruptions: Disruptions, progress: _Progress
) -> None:
    """Write records and cause disruptions until the time is over."""
    stop = Event()

    def write() -> None:
        with disruptions.log.catching("the writer"):
            writer.write_until(stop)

    writing = Thread(target=write, name="soak writer")
    writing.start()
    try:
        with disruptions.running():
            end = progress.started + settings.seconds
            while (left := end - time.monotonic()) > 0:
                progress.update()
                time.sleep(min(left, 0.5))
    finally:
        stop.set()
        writing.join()
