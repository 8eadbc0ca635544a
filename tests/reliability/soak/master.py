"""A master of the soak: it runs all lanes in random order, again and again, and moves the entities it is sent."""

from __future__ import annotations

import os
import queue
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Any

from tests.reliability.soak.lane_runs import LaneToRun, Runs
from tests.reliability.soak.mail_mesh import mesh, service
from tests.reliability.soak.run_log import RunLog
from tests.reliability.soak.settings import Settings
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.errors import LaneError, NoCapacity, StoreError
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.reassign import reassign, repush
from workmesh_flows.testing import History

PAUSE = 0.02
"""Seconds between two lanes."""


def limits_of(settings: Settings) -> Limits:
    return Limits(
        connect_timeout=2,
        read_timeout=5,
        lease_seconds=settings.lease_seconds,
        breaker_failures=6,
        breaker_seconds=0.3,
    )


@dataclass(frozen=True, slots=True)
class MasterOptions:
    """The arguments of a master process."""

    settings: Settings
    database: str
    history: Path
    log: Path
    nodes: Sequence[Node]


def run_master(options: MasterOptions, name: str, life: int, moves_from: Connection) -> None:
    """Run lanes until killed, or until the other end of the connection closes; ``life`` counts processes of this name.

    A move that comes over the connection is an entity, reassign or repush, and its settle time in seconds.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    log = RunLog(options.log)
    with log.catching(f"master {name}"):
        engine = open_engine(options.database)
        runs = Runs(engine, History(options.history), log, limits_of(options.settings), options.nodes)
        moves = queue.Queue[Any]()
        Thread(target=_move_entities, args=(runs, f"{name} mover", moves), daemon=True).start()
        for number in range(options.settings.workers):
            lanes, chance = runs.lanes(f"{name}.{number}"), options.settings.chance(name, life, number)
            Thread(target=_run_lanes, args=(runs, lanes, chance), daemon=True).start()
        with suppress(EOFError, OSError):
            while True:
                moves.put(moves_from.recv())
    os._exit(0)


def _run_lanes(runs: Runs, lanes: list[LaneToRun], chance: random.Random) -> None:
    while True:
        chance.shuffle(lanes)
        for lane in lanes:
            runs.run(lane)
            time.sleep(PAUSE)


def _move_entities(runs: Runs, holder: str, moves: queue.Queue[Any]) -> None:
    inventory = Inventory({node.name: node for node in runs.nodes})
    while True:
        entity, how, seconds = moves.get()
        context = MoveContext(
            runs.engine,
            mesh,
            service,
            lambda: inventory,
            holder,
            limits=runs.limits,
            settle_seconds=seconds,
            wait_seconds=4 * runs.limits.lease_seconds,
        )
        with runs.log.catching(f"{how} {entity}"):
            try:
                report = reassign(context, entity) if how == "reassign" else repush(context, entity)
            except (LaneError, NoCapacity, StoreError) as error:
                runs.log.write("postponed", f"{how} {entity}: {type(error).__name__}: {error}")
            else:
                runs.log.write("moved", report)
