"""A master that sends letters and pulls their results, with one leased lane."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    LargeBinary,
    Row,
    String,
    Text,
    Uuid,
    insert,
    select,
)
from sqlalchemy.orm import Session, registry

from workmesh_flows import Flags, Protocol, Pull, Push, Service, get, post
from workmesh_flows.adapters.store.lanes import LaneLease, acquire_lane
from workmesh_flows.adapters.store.protocol_tables import pull_tables
from workmesh_flows.adapters.store.pull_flags import flag_pulled
from workmesh_flows.adapters.store.push_flags import push_flags
from workmesh_flows.adapters.store.refused_records import Refusal, read_refusals
from workmesh_flows.adapters.store.schema import lanes
from workmesh_flows.domain.lane import Direction, Lane
from workmesh_flows.planning.refusals import RefusalState

NOW = datetime(2026, 3, 1, 12, 0, 0, 999_998, tzinfo=UTC)


class Letters:
    """A master that sends letters; its flags are as varied as users' own: naive times, errors of any length."""

    def __init__(self, engine: Engine, *, aware: bool = True, error: Any = None, count: int = 6) -> None:
        base: Any = registry().generate_base()
        self.engine = engine
        shop: Any = type(
            "Shop",
            (base,),
            {"__tablename__": "shop", "id": Column(Integer, primary_key=True), "node": Column(String(50))},
        )
        letter: Any = type(
            "Letter",
            (base,),
            {
                "__tablename__": "letter",
                "__table_args__": (CheckConstraint("id <> -1 OR sent IS NOT true", name="not_minus_1"),),
                "id": Column(Integer, primary_key=True, autoincrement=False),
                "shop_id": Column(Integer, ForeignKey("shop.id")),
                "sent_at": Column(DateTime(timezone=aware)),
                "sent": Column(Boolean),
                "sent_error": Column(error or String(20)),
                "back_at": Column(DateTime(timezone=aware)),
                "back": Column(Boolean),
                "back_error": Column(Text),
                "score": Column(Integer, CheckConstraint("score >= 0", name="score_not_negative")),
                "word": Column(String(5), CheckConstraint("length(word) <= 5", name="word_short")),
                "key": Column(Uuid),
                "more": Column(JSON),
                "raw": Column(LargeBinary),
            },
        )
        self.shop, self.letter = shop, letter
        into = {key: getattr(letter, key) for key in ("score", "word", "key", "more", "raw")}
        self.protocol = Protocol(
            "letter",
            record=letter,
            id=letter.id,
            sort=letter.id,
            push=Push(
                post("/push.json", batch_size=10), Flags(letter.sent_at, letter.sent, letter.sent_error)
            ),
            pull=Pull(
                "/status.json", get("/pull.json", into), Flags(letter.back_at, letter.back, letter.back_error)
            ),
        )
        self.service = Service(
            "letters", entity=self.shop, assigned_to=self.shop.node, protocols=[self.protocol]
        )
        self.tables = pull_tables(self.service, self.protocol)
        base.metadata.create_all(engine)
        with Session(engine) as session:
            session.execute(insert(self.shop), [{"id": 1, "node": "n1"}])
            session.execute(
                insert(letter), [{"id": number, "shop_id": 1} for number in (-1, *range(1, count + 1))]
            )
            session.commit()
        self.lease = self.take("a")

    def take(self, holder: str, clock: datetime = NOW, direction: Direction = "push") -> LaneLease:
        lane = Lane("letters", "letter", "n1", direction)
        return acquire_lane(self.engine, lane, holder=holder, clock=lambda: clock, lease_seconds=30)

    def push(self, pushed: list[int], refused: dict[int, str] | None = None, now: datetime = NOW) -> None:
        refusals = {
            key: Refusal(1, why, 1, now, RefusalState.RETRYING) for key, why in (refused or {}).items()
        }
        with push_flags(
            self.engine,
            self.lease,
            self.tables,
            read_refusals(self.engine, self.tables, self.lease.lane.node),
        ) as flags:
            flags.write(pushed, refusals, now, answered=True)

    def pull(self, results: dict[int, Any]) -> dict[int, str]:
        return flag_pulled(self.engine, self.lease, self.tables, results, NOW)

    def rows(self) -> dict[int, Row[Any]]:
        with self.engine.connect() as connection:
            return {row.id: row for row in connection.execute(select(self.letter.__table__))}

    def lane(self) -> Row[Any]:
        with self.engine.connect() as connection:
            return connection.execute(select(lanes)).one()
