"""The disruptions of a running mesh: each kind has its own thread and its decisions come from the seed."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

from sqlalchemy import Engine, update

from tests.reliability.soak.mail_mesh import Letter, mesh, service
from tests.reliability.soak.mail_service import REFUSE
from tests.reliability.soak.masters import Master
from tests.reliability.soak.nodes import ProxiedNode
from tests.reliability.soak.run_log import RunLog
from tests.reliability.soak.settings import Settings, Span
from workmesh_flows.errors import StoreError, UnknownName
from workmesh_flows.operations.delivery.replay import decide_refused, list_refused

FIXED_SHARE = 0.8
"""The share of replayed records that are fixed before."""


@dataclass(slots=True)
class Disruptions:
    """The disruptions of one soak, with a count of each kind."""

    settings: Settings
    engine: Engine
    log: RunLog
    nodes: Sequence[ProxiedNode]
    masters: Sequence[Master]
    counts: Counter[str] = field(default_factory=Counter)
    _stop: Event = field(default_factory=Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Cause disruptions for the length of a block; at its end no master is paused and all nodes are running."""
        kinds: list[tuple[Callable[[random.Random], None], Span]] = [
            (self._kill, self.settings.kills),
            (self._pause, self.settings.pauses),
            (self._restart, self.settings.restarts),
            (self._move, self.settings.moves),
            (self._replay, self.settings.replays),
        ]
        threads = [Thread(target=self._repeat, args=kind, name=f"soak {kind[0].__name__}") for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _repeat(self, disrupt: Callable[[random.Random], None], span: Span) -> None:
        chance = self.settings.chance(disrupt.__name__)
        while not self._stop.wait(chance.uniform(*span)):
            with self.log.catching(disrupt.__name__):
                disrupt(chance)

    def _kill(self, chance: random.Random) -> None:
        master = chance.choice(self.masters)
        if not master.busy.acquire(blocking=False):  # it is paused: kill another one instead
            master = next(other for other in self.masters if other is not master)
            master.busy.acquire()
        try:
            if not master.alive:
                self.log.write("unexpected", f"master {master.name} had exited by itself")
            master.kill()
            self.counts["kills"] += 1
            master.start()
        finally:
            master.busy.release()

    def _pause(self, chance: random.Random) -> None:
        master, extra = chance.choice(self.masters), chance.uniform(*self.settings.overtime)
        with master.busy:
            master.signal(signal.SIGSTOP)
            try:
                self._stop.wait(self.settings.lease_seconds + extra)
            finally:
                master.signal(signal.SIGCONT)
            self.counts["pauses"] += 1

    def _restart(self, chance: random.Random) -> None:
        node, cut, seconds = chance.choice(self.nodes), chance.random() < 1 / 3, chance.uniform(0, 2)
        if cut:
            node.proxy.close()
            self._stop.wait(seconds)
            node.proxy.start()
            self.counts["cuts"] += 1
            return
        node.process.kill()
        self._stop.wait(seconds)
        node.process.start()
        self.counts["restarts"] += 1

    def _move(self, chance: random.Random) -> None:
        how = "repush" if chance.random() < 1 / 4 else "reassign"
        entity = 1 + int(self.settings.entities * chance.random() ** 2)
        chance.choice(self.masters).send_move(entity, how, chance.choice([0, 0, 1, 2]))
        self.counts["moves requested"] += 1

    def _replay(self, chance: random.Random) -> None:
        replayed = replay(self.engine, chance)
        self.counts["replayed"] += replayed


def replay(engine: Engine, chance: random.Random | None = None) -> int:
    """Replay parked records, most of them after a fix, or all after a fix without ``chance``; returns their number."""
    listed = [(one.protocol, one.record) for one in list_refused(engine, mesh) if one.state == "parked"]
    replayed = 0
    for protocol in service.protocols:
        records = [record for name, record in listed if name == protocol.name]
        fixed = [int(record) for record in records if chance is None or chance.random() < FIXED_SHARE]
        if protocol.name == "letter" and fixed:
            with engine.begin() as connection:
                connection.execute(
                    update(Letter).where(Letter.id.in_(fixed), Letter.text == REFUSE).values(text="fixed")
                )
        if records:
            with suppress(
                UnknownName, StoreError
            ):  # its entity was sent again meanwhile, which deletes refusals
                replayed += decide_refused(engine, service, "replay", protocols=[protocol], records=records)
    return replayed
