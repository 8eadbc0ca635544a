"""The stage of the sweep: a real node, a running master program, and one situation that is restored for each play."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from itertools import count
from pathlib import Path

import httpx
from sqlalchemy import Engine, NullPool, create_engine, delete, make_url, text, update

from tests.reliability.mail_mesh import SERVICE, mesh
from tests.reliability.mail_service import FIXED, FOLDER, PROCESSED
from tests.reliability.sweep_situation import (
    BODY_LIMIT,
    RETURNED,
    RETURNED_IDS,
    NetworkFaults,
    write_others,
    write_returned,
)
from workmesh_flows.adapters.store.engine import open_engine, utc_now
from workmesh_flows.adapters.store.moves import Step
from workmesh_flows.adapters.store.probes import SavedProbe, save_probes
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.domain.node import Inventory, NodeState
from workmesh_flows.microservice import NodeProcess
from workmesh_flows.operations.delivery.lane_context import LaneContext
from workmesh_flows.operations.delivery.push import push_lane
from workmesh_flows.operations.moves.hand_over import hand_over
from workmesh_flows.operations.moves.move_context import MoveContext
from workmesh_flows.testing import FaultyProxy, History, inventory_node, record_records, running_node

LATER_EPOCH = 50
"""The epoch of an earlier sender of opens, such as one with another database."""
TABLES = ("records", "answers", "epochs")

_numbers = count()


@contextmanager
def master_program() -> Iterator[subprocess.Popen[str]]:
    """The master program, ready to fork masters."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.master_program"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    ) as program:
        yield program
        assert program.stdin is not None
        program.stdin.close()


@dataclass(slots=True)
class Play:
    """One play: a database of its own, a history of all events, and the node's folder with its two files."""

    database: str
    node: NodeProcess
    proxy: FaultyProxy
    history: History
    program: subprocess.Popen[str]
    engine: Engine
    faults: NetworkFaults
    folder: Path

    def run_master(self, die_at: tuple[str, int] | None = None) -> Mapping[str, int] | None:
        """Run a master; returns how often it passed each failpoint, None if it was killed."""
        order = {
            "database": self.database,
            "history": str(self.history.path),
            "node": {
                "name": self.node.name,
                "api_key": self.node.api_key,
                "port": self.proxy.port,
                "database": str(self.node.database),
            },
            "fixed": str(self.folder / FIXED),
            "die_at": die_at,
        }
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(json.dumps(order) + "\n")
        self.program.stdin.flush()
        ended = json.loads(self.program.stdout.readline())
        if die_at is not None and ended["code"] == -signal.SIGKILL:
            return None
        assert ended["code"] == 0
        return ended["passed"]

    def processed(self) -> Counter[tuple[str, int]]:
        """How often the node has processed each record in this play, by protocol and id."""
        lines = (line.split() for line in (self.folder / PROCESSED).read_text().splitlines())
        return Counter((protocol, int(number)) for protocol, number in lines)


@dataclass
class Stage:
    """The shared parts of all plays with one kind of database; ``server`` is None for SQLite."""

    folder: Path
    server: str | None
    node: NodeProcess
    program: subprocess.Popen[str]
    _names: Iterator[int] = field(default_factory=count)

    @property
    def kind(self) -> str:
        """The kind of database."""
        return "sqlite" if self.server is None else "postgresql"

    @cached_property
    def passed(self) -> Mapping[str, int]:
        """How often an undisturbed master passes each failpoint."""
        with self.play() as play:
            passed = play.run_master()
        assert passed is not None
        return passed

    @contextmanager
    def play(self) -> Iterator[Play]:
        """Restore the situation."""
        template = self._template
        path = self.folder / f"history-{next(self._names)}.jsonl"
        with ExitStack() as stack:
            database = stack.enter_context(self._copy(template))
            self._reset_node()
            engine = create_engine(database, poolclass=NullPool)
            history = stack.enter_context(History(path))
            record_records(history, engine, mesh)
            faults = NetworkFaults((self.folder / FIXED).exists)
            proxy = stack.enter_context(
                FaultyProxy(self.node.url, faults, history=history, service=SERVICE, node=self.node.name)
            )
            yield Play(database, self.node, proxy, history, self.program, engine, faults, self.folder)

    @cached_property
    def _template(self) -> str:
        """The name of a database with the situation; a copy of the node's database is saved too."""
        name = f"mails_{os.getpid()}_{next(_numbers)}"
        url = self._url(name)
        if self.server is not None:
            self._execute(f"CREATE DATABASE {name}")
        open_engine(url).dispose()
        engine = create_engine(url, poolclass=NullPool)
        write_returned(engine)
        self._move_away_and_back(engine)
        self._push_under_later_epoch(engine)
        write_others(engine)
        self._see_at_work(engine)
        with closing(sqlite3.connect(self.node.database)) as live, closing(self._node_copy()) as copy:
            live.backup(copy)
        return name

    def _move_away_and_back(self, engine: Engine) -> None:
        """Move an account away from its node before its deliveries are pulled, and back."""
        service = mesh.service(SERVICE)
        node = inventory_node(self.node, SERVICE)
        report = push_lane(
            LaneContext(engine, service, service.protocol("delivery"), node, "an earlier master")
        )
        assert report.pushed == len(RETURNED_IDS)
        while not all(arrival.processed_at for arrival in self.node.arrivals()):
            time.sleep(0.01)
        for source, target in (("n1", "n2"), ("n2", "n1")):
            nodes = {
                name: inventory_node(
                    self.node, SERVICE, state=NodeState.DISABLED if name == source else NodeState.ACTIVE
                )
                for name in (source, target)
            }
            inventory = Inventory(nodes)
            context = MoveContext(engine, mesh, service, lambda: inventory, "an earlier master")  # noqa: B023 - called in this iteration
            assert hand_over(context, [Step(RETURNED, source, target, 1, "a test")]).moved == 1

    def _push_under_later_epoch(self, engine: Engine) -> None:
        """Push an open under an epoch that this database does not know."""
        with engine.begin() as connection:
            connection.execute(delete(lanes).where(lanes.c.protocol == "open"))
        answer = httpx.post(
            f"{self.node.url}/api/1.0/open/push.json",
            json={"api_key": self.node.api_key, "open": {"id": 1_000, "client": ""}},
            headers={"Workmesh-Epoch": str(LATER_EPOCH), "Workmesh-Lane": f"{SERVICE}/open"},
        )
        assert answer.json()["status"] != "success", "the node refuses the record, and saves the epoch"

    def _see_at_work(self, engine: Engine) -> None:
        """A node whose failures were read to the end is seen with a queue: its list may grow again."""
        now = utc_now()
        pulls = lanes.c.protocol == "delivery", lanes.c.direction == "pull"
        with engine.begin() as connection:
            connection.execute(update(lanes).where(*pulls).values(settled_at=now - timedelta(seconds=1)))
        save_probes(engine, [SavedProbe(self.node.name, "", True, True, "", "", 5, now)])

    def _reset_node(self) -> None:
        (self.folder / FIXED).unlink(missing_ok=True)
        (self.folder / PROCESSED).write_text("")
        with closing(sqlite3.connect(self.node.database, isolation_level=None)) as live:
            live.execute("ATTACH ? AS saved", (str(self._node_copy_path),))
            live.execute("BEGIN IMMEDIATE")
            for table in TABLES:
                live.execute(f"DELETE FROM main.{table}")  # noqa: S608 - constant names
                live.execute(f"INSERT INTO main.{table} SELECT * FROM saved.{table}")  # noqa: S608
            live.execute("COMMIT")

    @property
    def _node_copy_path(self) -> Path:
        return self.folder / "node-copy.db"

    def _node_copy(self) -> sqlite3.Connection:
        return sqlite3.connect(self._node_copy_path)

    @contextmanager
    def _copy(self, template: str) -> Iterator[str]:
        """The address of a copy of a database, which is deleted after the block."""
        name = f"{template}_{next(self._names)}"
        if self.server is None:
            shutil.copy(self.folder / f"{template}.db", self.folder / f"{name}.db")
            yield self._url(name)
            return
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self._url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _url(self, name: str) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder / name}.db"
        # Only masters are killed, not the server: no commit has to wait for the disk.
        fast = {"options": "-csynchronous_commit=off"}
        url = make_url(self.server).set(database=name).update_query_dict(fast)
        return url.render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        assert self.server is not None
        engine = create_engine(self.server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def open_stage(folder: Path, server: str | None) -> Iterator[Stage]:
    """A stage with its own node."""
    with (
        running_node(
            "tests.reliability.mail_service:mails",
            environment={"WORKMESH_BODY_LIMIT": str(BODY_LIMIT), FOLDER: str(folder)},
        ) as node,
        master_program() as program,
    ):
        yield Stage(folder, server, node, program)
