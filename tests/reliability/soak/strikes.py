"""What strikes the mesh while it works, each kind in a thread of its own, drawn from the seed."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread

from sqlalchemy import Engine, update

from tests.reliability.soak.masters import Master
from tests.reliability.soak.micro import REFUSE
from tests.reliability.soak.nodes import Behind
from tests.reliability.soak.notes import Notes
from tests.reliability.soak.settings import Settings, Span
from tests.reliability.soak.world import Letter, mesh, service
from workmesh_flows.errors import StoreError, UnknownName
from workmesh_flows.operations.delivery.replay import decide_refused, list_refused

MENDED = 0.8
"""The share of replayed records that were mended before."""


@dataclass(slots=True)
class Strikes:
    """The strikes of one soak, counted by kind."""

    settings: Settings
    engine: Engine
    notes: Notes
    nodes: Sequence[Behind]
    masters: Sequence[Master]
    counts: Counter[str] = field(default_factory=Counter)
    _stop: Event = field(default_factory=Event)

    @contextmanager
    def falling(self) -> Iterator[None]:
        """They fall as long as the block; at its end nobody is paused, and all nodes are up."""
        kinds: list[tuple[Callable[[random.Random], None], Span]] = [
            (self._kill, self.settings.kills),
            (self._pause, self.settings.pauses),
            (self._restart, self.settings.restarts),
            (self._move, self.settings.moves),
            (self._replay, self.settings.replays),
        ]
        threads = [Thread(target=self._strike, args=kind, name=f"soak {kind[0].__name__}") for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _strike(self, strike: Callable[[random.Random], None], span: Span) -> None:
        chance = self.settings.chance(strike.__name__)
        while not self._stop.wait(chance.uniform(*span)):
            with self.notes.watching(strike.__name__):
                strike(chance)

    def _kill(self, chance: random.Random) -> None:
        master = chance.choice(self.masters)
        if not master.busy.acquire(blocking=False):  # it is paused: another one, so that there is a kill
            master = next(other for other in self.masters if other is not master)
            master.busy.acquire()
        try:
            if not master.runs:
                self.notes.write("unexpected", f"master {master.name} had ended by itself")
            master.kill()
            self.counts["kills"] += 1
            master.start()
        finally:
            master.busy.release()

    def _pause(self, chance: random.Random) -> None:
        master, longer = chance.choice(self.masters), chance.uniform(*self.settings.overtime)
        with master.busy:
            master.signal(signal.SIGSTOP)
            try:
                self._stop.wait(self.settings.lease_seconds + longer)
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
        chance.choice(self.masters).tell(entity, how, chance.choice([0, 0, 1, 2]))
        self.counts["told to hand over"] += 1

    def _replay(self, chance: random.Random) -> None:
        replayed = replay(self.engine, chance)
        self.counts["replayed"] += replayed


def replay(engine: Engine, chance: random.Random | None = None) -> int:
    """Let go what is parked, most of it mended, or all of it mended where nothing is left to chance; how many."""
    listed = [(one.protocol, one.record) for one in list_refused(engine, mesh) if one.state == "parked"]
    replayed = 0
    for protocol in service.protocols:
        records = [record for of, record in listed if of == protocol.name]
        mended = [int(record) for record in records if chance is None or chance.random() < MENDED]
        if protocol.name == "letter" and mended:
            with engine.begin() as connection:
                connection.execute(
                    update(Letter).where(Letter.id.in_(mended), Letter.text == REFUSE).values(text="mended")
                )
        if records:
            with suppress(
                UnknownName, StoreError
            ):  # its entity was sent again meanwhile, which forgets refusals
                replayed += decide_refused(engine, service, "replay", protocols=[protocol], records=records)
    return replayed
