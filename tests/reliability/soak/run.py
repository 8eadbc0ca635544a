"""A soak from its first record to its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Engine

from tests.reliability.soak.lanes import Runs
from tests.reliability.soak.master import Order, limits_of
from tests.reliability.soak.masters import running_masters
from tests.reliability.soak.nodes import Behind, running_nodes
from tests.reliability.soak.notes import UNEXPECTED, Notes
from tests.reliability.soak.settings import Settings
from tests.reliability.soak.settling import record_end, settle
from tests.reliability.soak.strikes import Strikes
from tests.reliability.soak.summary import Outcome, judge
from tests.reliability.soak.world import SERVICE, count, create_world, mesh
from tests.reliability.soak.writer import Writer
from workmesh_flows.adapters.store.engine import make_engine
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.assignment.assign import assign
from workmesh_flows.testing import History, inventory_node

TELL_EVERY = 10.0


@dataclass(slots=True)
class _Progress:
    """A line every ten seconds."""

    engine: Engine
    say: Callable[[str], None]
    strikes: Strikes
    began: float
    told: float = 0.0

    def tell(self) -> None:
        now = time.monotonic()
        if now - self.told < TELL_EVERY:
            return
        self.told = now
        figures = {name: count(self.engine, name) for name in ("written", "pushed", "pulled")}
        figures |= self.strikes.counts
        self.say(f"{now - self.began:5.0f} s  " + "  ".join(f"{name} {n:,}" for name, n in figures.items()))


def soak(settings: Settings, database: str, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Run it; everything that it starts is ended, however it ends."""
    path, seconds = folder / "history.jsonl", {"at work": settings.seconds}
    with ExitStack() as stack:
        engine = make_engine(database)
        stack.callback(engine.dispose)
        create_world(engine, settings.entities)
        history = stack.enter_context(History(path))
        notes = Notes(folder / "notes.jsonl")
        stack.callback(notes.close)
        nodes = stack.enter_context(running_nodes(settings, folder, history))
        runs = Runs(engine, history, notes, limits_of(settings), [_known(node) for node in nodes])
        assign(engine, mesh, SERVICE, Inventory({node.name: node for node in runs.nodes}))
        say(f"seed {settings.seed}: {settings.nodes} nodes are up; histories and logs are in {folder}")
        order = Order(settings, database, path, notes.path, runs.nodes)
        with running_masters(settings, order) as masters:
            strikes = Strikes(settings, engine, notes, nodes, masters)
            progress = _Progress(engine, say, strikes, time.monotonic())
            _work(settings, Writer(engine, history, settings), strikes, progress)
        began = time.monotonic()
        say("the time is over: faults end, all nodes are up, and the rest is pushed and pulled")
        troubles = settle(runs, nodes, settings, progress.tell)
        seconds["to settle"] = time.monotonic() - began
        record_end(history, engine, nodes)
        troubles += notes.of(UNEXPECTED)
    return judge(path, settings.seed, seconds, strikes.counts, notes.counts(), troubles)


def _known(node: Behind) -> Node:
    return inventory_node(node.process, SERVICE, port=node.proxy.port)


def _work(settings: Settings, writer: Writer, strikes: Strikes, progress: _Progress) -> None:
    """Write, strike, and tell, until the time is over."""
    stop = Event()

    def write() -> None:
        with strikes.notes.watching("the writer"):
            writer.write_until(stop)

    writing = Thread(target=write, name="soak writer")
    writing.start()
    try:
        with strikes.falling():
            end = progress.began + settings.seconds
            while (left := end - time.monotonic()) > 0:
                progress.tell()
                time.sleep(min(left, 0.5))
    finally:
        stop.set()
        writing.join()
