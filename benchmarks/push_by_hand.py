"""A hand-written loop for this one table: no lanes, no order for each owner, no refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import httpx
import orjson
from sqlalchemy import Engine

from workmesh_flows.domain.node import Node

PAGE = (
    "SELECT r.id, r.account_id, r.at, r.body FROM record r JOIN account a ON a.id = r.account_id "
    "WHERE a.node = %s AND r.push_success IS NOT TRUE AND (r.at, r.id) > (%s, %s) ORDER BY r.at, r.id LIMIT %s"
)
FLAGGED = "UPDATE record SET push_time = %s, push_success = TRUE, push_error = NULL WHERE id "
NAMES = ("id", "account_id", "at", "body")
JSON = {"Content-Type": "application/json"}

Flag: TypeAlias = Callable[[Any, Sequence[int]], None]


def run(engine: Engine, node: Node, records: int, batch_size: int | None) -> int:
    """Write the same flags as Workmesh: one statement for each record, in one pipeline for each batch."""
    return _loop(engine, node, records, batch_size, _flag_times if batch_size else _flag_one)


def run_one_time(engine: Engine, node: Node, records: int, batch_size: int | None) -> int:
    """Flag a batch by one statement with one time for all records, from which pull could not read their order."""
    return _loop(engine, node, records, batch_size, _flag_batch)


def _flag_batch(cursor: Any, ids: Sequence[int]) -> None:  # noqa: ANN401 - psycopg's
    cursor.execute(f"{FLAGGED} = ANY(%s)", (datetime.now(UTC), ids))


def _flag_one(cursor: Any, ids: Sequence[int]) -> None:  # noqa: ANN401 - psycopg's
    cursor.execute(f"{FLAGGED} = %s", (datetime.now(UTC), ids[0]))


def _flag_times(cursor: Any, ids: Sequence[int]) -> None:  # noqa: ANN401 - psycopg's
    now = datetime.now(UTC)
    cursor.executemany(f"{FLAGGED} = %s", [(now + timedelta(microseconds=i), at) for i, at in enumerate(ids)])


def _loop(engine: Engine, node: Node, records: int, batch_size: int | None, flag: Flag) -> int:
    """Read a page, post it, flag it, commit; return the records sent."""
    size, done, mark = batch_size or 1, 0, (datetime(1970, 1, 1, tzinfo=UTC), 0)
    page_size = batch_size or 500
    raw: Any = engine.raw_connection()
    with raw.cursor() as cursor, httpx.Client(base_url=node.address) as http:
        while done < records and (rows := cursor.execute(PAGE, (node.name, *mark, page_size)).fetchall()):
            mark = (rows[-1][2], rows[-1][0])
            for start in range(0, len(rows), size):
                part = [dict(zip(NAMES, row, strict=True)) for row in rows[start : start + size]]
                body = {"record": part[0]} if batch_size is None else {"records": part}
                content = orjson.dumps({"api_key": "a-key", **body})
                answer = http.post("/push.json", content=content, headers=JSON)
                assert answer.json()["status"] == "success"
                flag(cursor, [record["id"] for record in part])
                raw.commit()
                done += len(part)
    raw.close()
    return done
