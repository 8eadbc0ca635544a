"""Push against the loop that one would write by hand for this one table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import httpx
import orjson
from sqlalchemy import Engine

from benchmarks.world import NODE, fill, service, unflag
from workmesh_flows.domain.node import Node
from workmesh_flows.operations.bounds import Bounds
from workmesh_flows.operations.push import push_lane
from workmesh_flows.operations.work import Work

PAGE = (
    "SELECT r.id, r.account_id, r.at, r.body FROM record r JOIN account a ON a.id = r.account_id "
    "WHERE a.node = %s AND r.push_success IS NOT TRUE AND (r.at, r.id) > (%s, %s) ORDER BY r.at, r.id LIMIT %s"
)
FLAG = "UPDATE record SET push_time = %s, push_success = TRUE, push_error = NULL WHERE id = %s"
NAMES = ("id", "account_id", "at", "body")


def by_hand(engine: Engine, node: Node, records: int, batch_size: int | None) -> int:
    """Read a page, post it, flag it, commit; no lane, no owner order, no refusals."""
    size, done, mark = batch_size or 1, 0, (datetime(1970, 1, 1, tzinfo=UTC), 0)
    page_size = 500 if batch_size is None else batch_size
    raw: Any = engine.raw_connection()
    with raw.cursor() as cursor, httpx.Client(base_url=node.address) as http:
        while done < records and (rows := cursor.execute(PAGE, (NODE, *mark, page_size)).fetchall()):
            mark = (rows[-1][2], rows[-1][0])
            for start in range(0, len(rows), size):
                part = [dict(zip(NAMES, row, strict=True)) for row in rows[start : start + size]]
                body = {"record": part[0]} if batch_size is None else {"records": part}
                answer = http.post(
                    "/push.json",
                    content=orjson.dumps({"api_key": "a-key", **body}),
                    headers={"Content-Type": "application/json"},
                )
                assert answer.json()["status"] == "success"
                now = datetime.now(UTC)
                flags = [(now + timedelta(microseconds=i), record["id"]) for i, record in enumerate(part)]
                cursor.executemany(FLAG, flags)
                raw.commit()
                done += len(part)
    raw.close()
    return done


def ours(engine: Engine, node: Node, records: int, batch_size: int | None) -> int:
    """The operation, as a flow's task calls it."""
    declared = service(batch_size)
    work = Work(engine, declared, declared.protocol("record"), node, holder="bench")
    return push_lane(work, Bounds(records)).pushed


def measure(engine: Engine, node: Node) -> None:
    """Print records a second and the ratio, best of three turns each."""
    fill(engine, accounts=200, records=200_000)
    for title, records, batch_size in (
        ("push, batches of 500", 100_000, 500),
        ("push, one a request", 5_000, None),
    ):
        turns: list[tuple[float, float]] = []
        for _ in range(3):
            speeds = []
            for run in (by_hand, ours):
                unflag(engine, records)
                speeds.append(_speed(run, engine, node, records, batch_size))
            turns.append((speeds[0], speeds[1]))
        theirs, mine = (max(speeds) for speeds in zip(*turns, strict=True))
        print(f"{title:32}{theirs:12,.0f}{mine:12,.0f}{mine / theirs:9.2f}")


def _speed(
    run: Callable[[Engine, Node, int, int | None], int],
    engine: Engine,
    node: Node,
    records: int,
    batch_size: int | None,
) -> float:
    began = perf_counter()
    assert run(engine, node, records, batch_size) == records
    return records / (perf_counter() - began)
