"""The count at the end of a run, with 10^5, 10^6 and 10^7 processed records: it reads none of them.

1,000 records are pending, and 1,000 in flight. The rows have only the columns that are counted, so that ten million are
written in seconds; the indexes are those of `workmesh check`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter

from sqlalchemy import BigInteger, DateTime, Engine, ForeignKey, String, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from workmesh_flows import Flags, Mesh, Protocol, Pull, Push, Service, get, post
from workmesh_flows.adapters.store.conditions import all_conditions
from workmesh_flows.adapters.store.lanes import read_lanes
from workmesh_flows.domain.node import Inventory, Node
from workmesh_flows.operations.check import check_mesh, missing_ddl
from workmesh_flows.operations.counts import correct_counts
from workmesh_flows.operations.delivery.replay import list_refused
from workmesh_flows.operations.status import read_status

SIZES = 100_000, 1_000_000, 10_000_000
ACCOUNTS, NODES, OPEN = 1_000, 10, 1_000
TURNS = 200
MILLISECONDS, GROWTH = 50, 1.3


class Base(DeclarativeBase):
    """The two tables."""


class Customer(Base):
    """The entities."""

    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    node: Mapped[str | None] = mapped_column(String(50))


class Message(Base):
    """The records."""

    __tablename__ = "message"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    push_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    push_success: Mapped[bool | None]
    push_error: Mapped[str | None] = mapped_column(String(200))
    pull_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    pull_success: Mapped[bool | None]
    pull_error: Mapped[str | None] = mapped_column(String(200))
    score: Mapped[int | None]


def mesh() -> Mesh:
    """A mesh with one service, of one protocol with results."""
    push = Push(
        post("/push.json", "messages", batch_size=500),
        flags=Flags(Message.push_time, Message.push_success, Message.push_error),
    )
    pull = Pull(
        "/status.json",
        get("/pull.json", into={"score": Message.score}),
        flags=Flags(Message.pull_time, Message.pull_success, Message.pull_error),
    )
    protocol = Protocol("message", record=Message, id=Message.id, sort=Message.at, push=push, pull=pull)
    return Mesh([Service("history", entity=Customer, assigned_to=Customer.node, protocols=[protocol])])


def measure(engine: Engine, node: Node) -> None:
    """Print milliseconds of SQL by the number of processed records, and of an exact count for comparison."""
    counted, inventory = mesh(), Inventory({node.name: node})
    print(f"\n{'SQL of a run end, ms, best of ' + str(TURNS):44}{'run end':>9}{'exact':>9}")
    best: list[float] = []
    for size in SIZES:
        _fill(engine, counted, size)
        exact = _timed(engine, lambda: correct_counts(engine, counted.services))
        assert (
            sum(count.records for count in read_status(engine, counted, inventory).counts) == size + 2 * OPEN
        )
        best.append(min(_timed(engine, lambda: _count(engine, counted, inventory)) for _ in range(TURNS)))
        print(f"{f'{size:,} processed records':44}{best[-1]:9.1f}{exact:9.1f}", flush=True)
    ratio = max(best) / best[0]
    met = "met" if ratio <= GROWTH and best[-1] <= MILLISECONDS else "NOT MET"
    print(
        f"{'most / at 100,000':44}{ratio:9.2f}  at most {GROWTH:g}, and {MILLISECONDS} ms: {met}", flush=True
    )
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)


def _count(engine: Engine, counted: Mesh, inventory: Inventory) -> None:
    """All SQL of the end of a run."""
    read_status(engine, counted, inventory, anew=["history"])
    list_refused(engine, counted)
    all_conditions(engine)
    read_lanes(engine)


def _fill(engine: Engine, counted: Mesh, size: int) -> None:
    """So many processed records, as if the lanes had processed them; keys and indexes are made after the rows."""
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    _execute(
        engine,
        f"INSERT INTO customer SELECT i, 'n' || i % {NODES} FROM generate_series(1, {ACCOUNTS}) i",  # noqa: S608 - constants
        "ALTER TABLE message DROP CONSTRAINT message_pkey, DROP CONSTRAINT message_customer_id_fkey",
        "ALTER TABLE message SET UNLOGGED",
        _rows(1, size, "now(), true", "now(), true"),
        _rows(-2 * OPEN, -OPEN - 1, "NULL, NULL", "NULL, NULL"),
        _rows(-OPEN, -1, "now(), true", "NULL, NULL"),
        "ALTER TABLE message ADD PRIMARY KEY (id)",
    )
    _execute(
        engine,
        *missing_ddl(check_mesh(engine, counted)),
        "VACUUM ANALYZE customer, message",
        "DELETE FROM workmesh_lanes WHERE service = 'history'",
        "INSERT INTO workmesh_lanes (service, protocol, node, direction, epoch, breaker, failures, done, refused) "  # noqa: S608
        f"SELECT 'history', 'message', 'n' || i, 'pull', 1, 'closed', 0, {size // NODES}, 0 "
        f"FROM generate_series(0, {NODES - 1}) i",
    )


def _rows(first: int, last: int, pushed: str, pulled: str) -> str:
    return (
        "INSERT INTO message (id, customer_id, at, push_time, push_success, pull_time, pull_success) "  # noqa: S608
        f"SELECT i, 1 + abs(i) % {ACCOUNTS}, now() + i * interval '1 second', {pushed}, {pulled} "
        f"FROM generate_series({first}, {last}) i"
    )


def _execute(engine: Engine, *statements: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))


def _timed(engine: Engine, act: Callable[[], object]) -> float:
    """Milliseconds that the database takes for the statements of an action."""
    with _sql_time(engine) as spent:
        act()
    return 1_000 * sum(spent)


@contextmanager
def _sql_time(engine: Engine) -> Iterator[list[float]]:
    """The seconds of each statement that is executed within the block."""
    spent: list[float] = []
    began = 0.0

    def before(*_: object) -> None:
        nonlocal began
        began = perf_counter()

    def after(*_: object) -> None:
        spent.append(perf_counter() - began)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield spent
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
