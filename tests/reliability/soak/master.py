"""A master of the soak: it works all lanes in no particular order, again and again, and hands over what it is told to."""

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

from tests.reliability.soak.lanes import Lane, Runs
from tests.reliability.soak.notes import Notes
from tests.reliability.soak.settings import Settings
from tests.reliability.soak.world import mesh, service
from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.domain.limits import Limits
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.errors import LaneError, NoCapacity, StoreError
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.operations.moves.reassign import reassign, repush
from workmesh_flows.testing import History

BETWEEN = 0.02
"""Seconds from one lane to the next."""


def limits_of(settings: Settings) -> Limits:
    return Limits(
        connect_timeout=2,
        read_timeout=5,
        lease_seconds=settings.lease_seconds,
        breaker_failures=6,
        breaker_seconds=0.3,
    )


@dataclass(frozen=True, slots=True)
class Order:
    """What a master has to know."""

    settings: Settings
    database: str
    history: Path
    notes: Path
    nodes: Sequence[Node]


def work(order: Order, name: str, life: int, told: Connection) -> None:
    """Work until killed, or until nobody is there to say more; ``life`` counts the processes of this name.

    What is told is an entity, reassign or repush, and how many seconds to settle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it
    notes = Notes(order.notes)
    with notes.watching(f"master {name}"):
        engine = open_engine(order.database)
        runs = Runs(engine, History(order.history), notes, limits_of(order.settings), order.nodes)
        moves = queue.Queue[Any]()
        Thread(target=_hand_over, args=(runs, f"{name} moving", moves), daemon=True).start()
        for number in range(order.settings.workers):
            lanes, chance = runs.lanes(f"{name}.{number}"), order.settings.chance(name, life, number)
            Thread(target=_work, args=(runs, lanes, chance), daemon=True).start()
        with suppress(EOFError, OSError):
            while True:
                moves.put(told.recv())
    os._exit(0)


def _work(runs: Runs, lanes: list[Lane], chance: random.Random) -> None:
    while True:
        chance.shuffle(lanes)
        for lane in lanes:
            runs.run(lane)
            time.sleep(BETWEEN)


def _hand_over(runs: Runs, holder: str, moves: queue.Queue[Any]) -> None:
    inventory = Inventory({node.name: node for node in runs.nodes})
    while True:
        entity, how, seconds = moves.get()
        moving = MoveContext(
            runs.engine,
            mesh,
            service,
            lambda: inventory,
            holder,
            limits=runs.limits,
            settle_seconds=seconds,
            wait_seconds=4 * runs.limits.lease_seconds,
        )
        with runs.notes.watching(f"{how} {entity}"):
            try:
                report = reassign(moving, entity) if how == "reassign" else repush(moving, entity)
            except (LaneError, NoCapacity, StoreError) as error:
                runs.notes.write("put off", f"{how} {entity}: {type(error).__name__}: {error}")
            else:
                runs.notes.write("handed over", report)
