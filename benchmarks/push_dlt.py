"""The same records sent by dlt with a custom destination: it extracts all to files, posts them, and writes no flags.

At its best, of what was tried: a resource that yields pages of dictionaries from a cursor of the server's is faster
than ``sql_table``, twenty load jobs at once (its default) are faster than one, and files are cut so that there are
several. All that it keeps goes to a temporary folder.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import orjson
from sqlalchemy import Engine

from benchmarks.push_by_hand import JSON
from workmesh_flows.domain.node import Node

PAGE = 10_000
PENDING = (
    "SELECT r.id, r.account_id, r.at, r.body FROM record r JOIN account a ON a.id = r.account_id "
    "WHERE a.node = %s AND r.push_success IS NOT TRUE ORDER BY r.at, r.id LIMIT %s"
)

_home = tempfile.TemporaryDirectory(prefix="workmesh-bench-dlt-")
os.environ |= {
    "DLT_DATA_DIR": _home.name,
    "DLT_PROJECT_DIR": _home.name,
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "DATA_WRITER__FILE_MAX_ITEMS": "25000",
}
dlt: Any = import_module("dlt")


def run(engine: Engine, node: Node, records: int, batch_size: int | None) -> int:
    """Run a new pipeline; returns the number of records sent."""
    sent: list[int] = []

    def rows() -> Iterator[list[dict[str, Any]]]:
        raw: Any = engine.raw_connection()
        with raw.cursor(name="pending") as cursor:
            cursor.execute(PENDING, (node.name, records))
            names = [column.name for column in cursor.description]
            while page := cursor.fetchmany(PAGE):
                yield [dict(zip(names, row, strict=True)) for row in page]
        raw.close()

    with httpx.Client(base_url=node.address) as http:

        def post(items: list[dict[str, Any]], table: dict[str, Any]) -> None:
            del table
            content = orjson.dumps({"api_key": "a-key", "records": items})
            answer = http.post("/push.json", content=content, headers=JSON)
            assert answer.json()["status"] == "success"
            sent.append(len(items))

        destination = dlt.destination(post, batch_size=batch_size, name="node")
        pipeline = dlt.pipeline("bench", destination=destination, pipelines_dir=_home.name)
        pipeline.run(dlt.resource(rows, name="record"))
    return sum(sent)
